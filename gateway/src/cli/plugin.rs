//! `tidegate plugin`: plugins written, built, tried and signed. Owns the arguments; what is done with them is in the modules
//! below, of which those that run components are there with the feature `host`.

mod allowed;
#[cfg(feature = "host")]
mod bench;
#[cfg(feature = "host")]
mod build;
#[cfg(feature = "host")]
mod compare;
#[cfg(feature = "host")]
mod doing;
#[cfg(feature = "host")]
mod far;
#[cfg(feature = "host")]
mod fixture;
mod scaffold;
mod signing;
#[cfg(feature = "host")]
mod subject;
#[cfg(feature = "host")]
mod trial;
#[cfg(feature = "host")]
mod view;

use allowed::Allowed;
use clap::Subcommand;
use std::path::PathBuf;

/// The commands on plugins.
#[derive(Debug, Subcommand)]
pub(super) enum Plugin {
    /// Write a folder with a small plugin that builds, to begin with
    #[command(after_help = "Example:\n  tidegate plugin new --world drift my-drift")]
    New {
        /// What it looks at
        #[arg(long)]
        world: scaffold::World,
        /// Its name: small letters, digits and hyphens
        name: String,
        /// The folder, which is not there yet or empty [default: NAME]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Build a plugin's folder to a component, and say what it is
    #[command(after_help = "\
It takes the installed target wasm32-unknown-unknown, else Debian's compiler where the recipe that it prints puts it.

Example:
  tidegate plugin build my-drift")]
    Build {
        /// The folder with its Cargo.toml
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// A compiler that has the target, or the sources of its standard library
        #[arg(long, value_name = "PATH")]
        rustc: Option<PathBuf>,
        /// Where the component is written [default: NAME.wasm in the folder]
        #[arg(short, long, value_name = "OUT.wasm")]
        output: Option<PathBuf>,
    },
    /// Load a component and say what it is: its world, what it asks for, its size and digest, what it is configured by
    #[command(after_help = "\
A component that lies elsewhere is fetched for it and not kept: its sha256 is what a configuration pins. A login, where one is
wanted, stands in the variable TIDEGATE_COMPONENT_LOGIN as USER:PASSWORD.

Examples:
  tidegate plugin inspect plugins/dist/drift.wasm
  tidegate plugin inspect oci://ghcr.io/org/drift:1.2.0")]
    Inspect {
        /// The component: a file, https://HOST/PATH or oci://HOST/REPOSITORY:TAG
        component: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        allowed: Allowed,
    },
    /// Have a component look at one window, call or stream, and print what it says and how long it took
    #[command(after_help = "\
The input is a JSON file, by the component's world. A column is a list, of numbers, texts (categories) or booleans, or
{\"KIND\": list} with numbers, integers, categories, texts or booleans; null is a missing value.

  drift      {\"reference\": {\"amount\": [1, 2]}, \"current\": {\"amount\": [7, null]}, \"window\": {\"id\": \"today\"}}
  fairness   {\"data\": {…}, \"roles\": {\"prediction\": \"p\", \"protected\": [\"group\"], \"positive\": \"1\"}}
  rag        {\"samples\": [{\"question\": \"…\", \"passages\": [{\"id\": \"1\", \"text\": \"…\"}], \"answer\": \"…\"}]}
  validator  {\"schema\": {…}, \"data\": {…}}

Filters and guardrails take one of three, each with \"call\": {\"route\", \"tenant\", \"model\", \"headers\" …} where they look at it:

  a request  {\"messages\": [{\"role\": \"user\", \"text\": \"…\"}, {\"role\": \"system\", \"parts\": [{\"text\": \"…\", \"untrusted\": false}]}]}
  an answer  {\"choices\": [{\"role\": \"assistant\", \"parts\": [{\"kind\": \"tool_arguments\", \"text\": \"{}\"}]}]}
  a stream   {\"deltas\": [\"Hel\", {\"choice\": 0, \"kind\": \"text\", \"text\": \"lo\"}, {\"choice\": 0, \"end\": \"stop\"}]}

Routers take arms, with \"features\" and \"call\": {\"arms\": [{\"name\": \"small\", \"first_byte_ms\": 80}, {\"name\": \"large\", \"ready\": false}]}
(also \"share\", \"in_flight\" and \"price\": {\"input\", \"output\"}).

A fixture (`plugin test`) is such a file too, with its configuration.

Example:
  tidegate plugin run plugins/dist/drift.wasm --input window.json --config config.json")]
    Run {
        /// The component
        file: PathBuf,
        /// The window, call or stream
        #[arg(long, value_name = "INPUT.json", visible_alias = "window")]
        input: PathBuf,
        /// The plugin's configuration; {} where none is given
        #[arg(long, value_name = "CONFIG.json")]
        config: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        allowed: Allowed,
    },
    /// Have a component look at each fixture, and hold what it says against what is wanted
    #[command(after_help = "\
A fixture is fixtures/NAME.json: {\"about\": \"…\", \"config\": {…}, \"input\": {…}, \"output\": …}, the input as for `plugin run`.
Of an object in `output` the fields that it names count, of a list all; {\"$near\": [VALUE, TOLERANCE]} is a number. In the
place of `output` may stand \"refused\": \"TEXT\", which has to be part of what the plugin refuses with. Times are of one
call; fuel, of windows alone, is the number of instructions, the same in every run.

Example:
  tidegate plugin test my-drift")]
    Test {
        /// The folder of a plugin, or its component
        #[arg(default_value = ".")]
        at: PathBuf,
        /// The folder of the fixtures [default: fixtures beside the component]
        #[arg(long, value_name = "DIR")]
        fixtures: Option<PathBuf>,
        #[command(flatten)]
        allowed: Allowed,
    },
    /// Have a component look at one input again and again, and say how long that takes
    #[command(
        after_help = "Example:\n  tidegate plugin bench my-drift/my-drift.wasm --input my-drift/fixtures/moved.json"
    )]
    Bench {
        /// The component
        file: PathBuf,
        /// The window, call or stream, or a fixture
        #[arg(long, value_name = "INPUT.json")]
        input: PathBuf,
        /// The plugin's configuration; that of the fixture, else {}, where none is given
        #[arg(long, value_name = "CONFIG.json")]
        config: Option<PathBuf>,
        /// How many calls are counted; fewer where they take longer than a minute
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
        calls: u32,
        /// How many calls come before
        #[arg(long, default_value_t = 100)]
        warm_up: u32,
        #[command(flatten)]
        allowed: Allowed,
    },
    /// Make a component of a core module that was built for wasm32-unknown-unknown
    #[command(
        after_help = "Example:\n  tidegate plugin pack target/wasm32-unknown-unknown/release/mine.wasm -o mine.wasm"
    )]
    Pack {
        /// The core module
        core: PathBuf,
        /// Where the component is written
        #[arg(short, long, value_name = "OUT.wasm")]
        output: PathBuf,
    },
    /// Send a component to a registry of containers, with the signature that lies beside it, and print how a configuration
    /// names it there
    #[command(after_help = "\
It is one layer of the kind application/wasm, as other tools for WebAssembly have it. A login stands in the variable
TIDEGATE_COMPONENT_LOGIN as USER:PASSWORD.

Example:
  tidegate plugin push my-drift.wasm oci://ghcr.io/org/my-drift:1.0.0")]
    Push {
        /// The component, with FILE.sig beside it where it is signed
        file: PathBuf,
        /// Where to: oci://HOST/REPOSITORY:TAG
        to: String,
        #[command(flatten)]
        allowed: Allowed,
    },
    /// Make a key to sign components with, and print its public half as a configuration wants it
    #[command(after_help = "Example:\n  tidegate plugin keygen plugins.pem")]
    Keygen {
        /// Where the private key is written, which nobody else may read; never over another file
        file: PathBuf,
    },
    /// Sign a component: its signature is written beside it, as FILE.sig
    #[command(after_help = "\
The signature is ed25519's over the component's bytes, in base64. A gateway whose configuration has the key as `signed_by`
of the plugin takes no other component.

Example:
  tidegate plugin sign my-drift.wasm --key plugins.pem")]
    Sign {
        /// The component
        file: PathBuf,
        /// The private key: PKCS#8 in PEM, by `plugin keygen` or `openssl genpkey -algorithm ed25519`
        #[arg(long, value_name = "KEYFILE")]
        key: PathBuf,
    },
    /// Look whether a component has the signature of a key
    #[command(
        after_help = "Example:\n  tidegate plugin verify my-drift.wasm --key 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    )]
    Verify {
        /// The component, with FILE.sig beside it
        file: PathBuf,
        /// The public key, in base64
        #[arg(long, value_name = "PUBLIC")]
        key: String,
    },
}

impl Plugin {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::New { world, name, dir } => scaffold::new(world, &name, dir),
            Self::Keygen { file } => signing::keygen(&file),
            Self::Sign { file, key } => signing::sign(&file, &key),
            Self::Verify { file, key } => signing::verify(&file, &key),
            other => other.run_hosted(),
        }
    }

    #[cfg(feature = "host")]
    fn run_hosted(self) -> anyhow::Result<()> {
        match self {
            Self::Build { dir, rustc, output } => build::build(&dir, rustc, output),
            Self::Inspect { component, json, allowed } => doing::inspect(&component, allowed, json),
            Self::Run { file, input, config, json, allowed } => {
                doing::run(&file, allowed, &input, config.as_deref(), json)
            }
            Self::Test { at, fixtures, allowed } => trial::test(&at, allowed, fixtures),
            Self::Bench { file, input, config, calls, warm_up, allowed } => {
                bench::bench(&file, allowed, &input, config.as_deref(), [warm_up, calls])
            }
            Self::Pack { core, output } => doing::pack(&core, &output),
            Self::Push { file, to, allowed } => far::push(&file, &to, allowed),
            Self::New { .. } | Self::Keygen { .. } | Self::Sign { .. } | Self::Verify { .. } => Ok(()),
        }
    }

    #[cfg(not(feature = "host"))]
    fn run_hosted(self) -> anyhow::Result<()> {
        anyhow::bail!("this program was built without the feature `host`, which runs components: build it with that")
    }
}
