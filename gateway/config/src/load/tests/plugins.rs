//! Plugins, and the filters of routes that they are.

use super::*;
use tidegate_core::digest::Digest;
use tidegate_core::spec::{
    ComponentAt, ComponentAuth, FilterSpec, OnFailure, PluginLimits, PluginSpec, PolicySpec, WasiGrant,
};

/// A folder with a component, its signature and a configuration of these sections beside them.
fn folder(routes: &str, plugins: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.wasm"), "one").unwrap();
    fs::write(folder.path().join("signed.wasm"), "two").unwrap();
    fs::write(folder.path().join("signed.wasm.sig"), "s").unwrap();
    let plugins = if plugins.is_empty() { String::new() } else { format!("plugins: {plugins}\n") };
    fs::write(folder.path().join("c.yaml"), text("routes", routes) + &plugins).unwrap();
    folder
}

fn read(folder: &Path) -> Result<Loaded, Report> {
    load(&folder.join("c.yaml"), &env)
}

const ROUTE: &str = "{r: {model: a, filters: [{plugin: x, at: [request]}]}, b: {model: b}, l: {model: l}}";

#[test]
fn what_is_wrong_with_a_plugin_is_said() {
    let zeros = "0".repeat(64);
    for (plugin, fault) in [
        ("{}", "`component` is missing"),
        ("{component: nope.wasm}", "there is no file"),
        ("{component: .}", "there is no file"),
        ("{component: \"https://a/x.wasm\"}", "needs its `sha256`"),
        ("{component: \"oci://a/x:1\"}", "needs its `sha256`"),
        (&format!("{{component: \"http://a/x.wasm\", sha256: \"{zeros}\"}}"), "for this machine alone"),
        (&format!("{{component: \"https://u:p@a/x.wasm\", sha256: \"{zeros}\"}}"), "it carries credentials"),
        (&format!("{{component: \"https://a/x.wasm?a=b\", sha256: \"{zeros}\"}}"), "a secret may stand"),
        (&format!("{{component: \"oci://a/x\", sha256: \"{zeros}\"}}"), "neither a tag nor a digest"),
        (&format!("{{component: \"ftp://a/x\", sha256: \"{zeros}\"}}"), "not taken from `ftp:`"),
        ("{component: x.wasm, auth: {bearer: \"${env:KEY}\"}}", "this component is a file"),
        (
            &format!("{{component: \"oci://a/x:1\", sha256: \"{zeros}\", auth: {{basic: \"${{env:KEY}}\"}}}}"),
            "no `:` between",
        ),
        (
            &format!("{{component: \"oci://a/x:1\", sha256: \"{zeros}\", auth: {{basic: \"a:b\"}}}}"),
            "stands in the file itself",
        ),
        (
            &format!("{{component: \"oci://a/x:1\", sha256: \"{zeros}\", auth: {{digest: a}}}}"),
            "not one of the choices",
        ),
        ("{component: x.wasm, sha256: abc}", "not a sha256: it has 3 characters"),
        (&format!("{{component: x.wasm, sha256: \"{zeros}\"}}"), "has another sha256: 7692c3ad"),
        ("{component: x.wasm, signed_by: abc}", "not a public key of ed25519"),
        (&format!("{{component: x.wasm, signed_by: \"{zeros}\"}}"), "x.wasm.sig cannot be read: it is not there"),
        ("{component: x.wasm, config: [1]}", "expected a map"),
        ("{component: x.wasm, config: {a: .inf}}", "no number of JSON"),
        ("{component: x.wasm, limits: {memory: 1023KiB}}", "from 1MiB to 1GiB"),
        ("{component: x.wasm, limits: {memory: 2GiB}}", "from 1MiB to 1GiB"),
        ("{component: x.wasm, limits: {memory: 16}}", "no unit"),
        ("{component: x.wasm, limits: {deadline: 0.5ms}}", "from 1ms to 60s"),
        ("{component: x.wasm, limits: {deadline: 61s}}", "from 1ms to 60s"),
        ("{component: x.wasm, limits: {memroy: 1MiB}}", "unknown field `memroy`"),
        ("{component: x.wasm, capabilities: {}}", "grants nothing"),
        ("{component: x.wasm, capabilities: {models: []}}", "grants no model"),
        ("{component: x.wasm, capabilities: {http: []}}", "grants no server"),
        ("{component: x.wasm, capabilities: {models: [a, a]}}", "stands here twice"),
        ("{component: x.wasm, capabilities: {models: [c]}}", "there is no model `c`"),
        ("{component: x.wasm, capabilities: {models: [a]}, limits: {deadline: 11m}}", "from 1ms to 10m"),
        ("{component: x.wasm, limits: {tokens: 9/hour}}", "can never apply: no models are granted"),
        ("{component: x.wasm, capabilities: {models: [a]}, limits: {tokens: 9}}", "not a rate"),
        ("{component: x.wasm, limits: {size: 65MiB}}", "from 1MiB to 64MiB"),
        ("{component: x.wasm, limits: {modules: 129}}", "are from 1 to 128"),
        ("{component: x.wasm, limits: {modules: 0}}", "at least 1"),
        ("{component: x.wasm, limits: {table: 1023}}", "are from 1024 to 1048576"),
        ("{component: x.wasm, wasi: full}", "not one of the choices"),
        ("{component: x.wasm, capabilities: {http: api.example.com}}", "expected a list"),
        ("{component: x.wasm, capabilities: {http: [\"ftp://a\"]}}", "its scheme is neither"),
        ("{component: x.wasm, capabilities: {http: [\"2130706433\"]}}", "its host is a number"),
        ("{component: x.wasm, capabilities: {http: [\"*.example.com\"]}}", "each host is written out"),
    ] {
        let folder = folder(ROUTE, &format!("{{x: {plugin}}}"));
        let report = read(folder.path()).map(|_| ()).expect_err(plugin);
        let found: Vec<_> = report.findings.iter().map(|finding| finding.message.as_str()).collect();
        assert!(found.len() == 1 && found[0].contains(fault), "{plugin}\n{found:#?}\n{fault}");
        assert!(report.findings[0].remedy.is_some() && report.findings[0].path.starts_with("plugins.x"), "{report}");
    }
    let named = folder(ROUTE, "{a b: {component: x.wasm}, x: {component: x.wasm}}");
    assert!(read(named.path()).unwrap_err().to_string().contains("not the name of a plugin"));
}

#[test]
fn what_is_wrong_with_a_filter_is_said() {
    for (filters, fault, remedy) in [
        ("[{plugin: x}]", "`at` is missing", "add"),
        ("[{at: [request]}]", "`plugin` is missing", "add"),
        ("[{plugin: x, at: []}]", "looks at nothing", "`at: [request]`"),
        ("[{plugin: x, at: [request, request]}]", "stands here twice", "leave one"),
        ("[{plugin: x, at: [response]}]", "`response` is not something", "did you mean `answer`?"),
        ("[{plugin: x, at: [requets]}]", "`requets` is not something", "did you mean `request`?"),
        ("[{plugin: x, at: request}]", "expected a list", "write"),
        ("[{plugin: x, at: [request], failure: shut}]", "not one of the choices", "known here"),
        (
            "[{plugin: x, at: [request]}, {plugin: x, at: [answer]}]",
            "a filter of this route already",
            "at: [request, answer]",
        ),
        ("[{plugin: y, at: [request]}, {plugin: x, at: [request]}]", "there is no plugin `y`", "`x`"),
        ("[{plugin: x, at: [request], config: {}}]", "unknown field `config`", "known here"),
    ] {
        let route = format!("{{r: {{model: a, filters: {filters}}}, b: {{model: b}}, l: {{model: l}}}}");
        let folder = folder(&route, "{x: {component: x.wasm}}");
        let report = read(folder.path()).map(|_| ()).expect_err(filters);
        assert!(report.findings.len() == 1, "{filters}: {report}");
        let finding = &report.findings[0];
        assert!(finding.message.contains(fault), "{filters}: {report}");
        assert!(finding.remedy.as_ref().is_some_and(|text| text.contains(remedy)), "{filters}: {report}");
    }
    let none = folder(ROUTE, "");
    let report = read(none.path()).unwrap_err().to_string();
    assert!(report.contains("there is no plugin `x`") && report.contains("add it under `plugins`"), "{report}");
}

#[test]
fn plugins_and_filters_are_read() {
    let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let digest = Digest::of(b"two");
    let routes = "{r: {model: a, filters: [{plugin: x, at: [request, answer]}, {plugin: y, at: [answer], failure: open}]}, b: {model: b}, l: {model: l}}";
    let plugins = format!(
        "{{x: {{component: x.wasm}}, y: {{component: signed.wasm, sha256: \"{digest}\", signed_by: \"{key}\", config: {{b: [1, \"1\"], a: {{c: \"${{env:KEY}}\"}}}}, limits: {{memory: 16MiB, deadline: 5ms, size: 32MiB, modules: 64, table: 65536}}, wasi: minimal, capabilities: {{http: [API.example.com, \"http://127.0.0.1:9000\"]}}}}}}"
    );
    let folder = folder(routes, &plugins);
    let loaded = read(folder.path()).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.warnings, []);
    let filter = |name: &str, at_request, at_answer, failure| FilterSpec {
        plugin: name.parse().unwrap(),
        at_request,
        at_answer,
        failure,
    };
    let expected = [filter("x", true, true, OnFailure::Closed), filter("y", false, true, OnFailure::Open)];
    assert_eq!(loaded.spec.routes["r"].filters, expected);
    let PluginSpec { component, sha256, config, shown, limits, .. } = &loaded.spec.plugins["x"];
    let file = ComponentAt::File(folder.path().join("x.wasm"));
    assert_eq!((component, *sha256, config.as_str()), (&file, None, "{}"));
    assert_eq!((shown.as_str(), *limits), ("{}", PluginLimits::default()));
    let y = &loaded.spec.plugins["y"];
    assert_eq!((y.sha256, y.config.as_str()), (Some(digest), r#"{"b":[1,"1"],"a":{"c":"s3cret"}}"#));
    let listed: Vec<_> = y.web.0.iter().map(ToString::to_string).collect();
    assert_eq!(listed, ["https://api.example.com:443", "http://127.0.0.1:9000"]);
    let (memory, deadline) = (Some(16 << 20), Some(Duration::from_millis(5)));
    let (size, modules, table) = (Some(32 << 20), Some(64), Some(65_536));
    assert_eq!(y.limits, PluginLimits { memory, deadline, tokens: None, size, modules, table });
    assert_eq!([loaded.spec.plugins["x"].wasi, y.wasi], [WasiGrant::None, WasiGrant::Minimal]);
    assert_eq!(Digest::from_bytes(y.signed_by.unwrap()).to_string(), key);
    let described = crate::describe(&loaded.spec);
    assert_eq!(described["plugins"]["y"]["config"], serde_json::json!({"a": {"c": "***"}, "b": [1, "1"]}));
    assert_eq!(
        described["routes"]["r"]["filters"][1],
        serde_json::json!({"plugin": "y", "at": ["answer"], "failure": "open"})
    );
    assert!(!format!("{described} {:?}", loaded.spec).contains("s3cret"));
    // The same key in base64.
    let base64 = plugins.replace(key, "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    let other = self::folder(routes, &base64);
    assert_eq!(read(other.path()).unwrap().spec.plugins["y"].signed_by, y.signed_by);
}

#[test]
fn models_are_granted_by_name() {
    let routes = "{r: {model: a, filters: [{plugin: x, at: [request]}]}, b: {model: b}}";
    let plugin =
        "{x: {component: x.wasm, capabilities: {models: [l, a]}, limits: {deadline: 10m, tokens: 100_000/hour}}}";
    let folder = folder(routes, plugin);
    let loaded = read(folder.path()).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.warnings, [], "a model that a plugin asks is used");
    let x = &loaded.spec.plugins["x"];
    assert_eq!(x.models.iter().map(tidegate_core::ModelName::as_str).collect::<Vec<_>>(), ["l", "a"]);
    assert_eq!(x.limits.tokens.map(|rate| (rate.count, rate.every)), Some((100_000, Duration::from_secs(3600))));
    let described = &crate::describe(&loaded.spec)["plugins"]["x"];
    assert_eq!(described["capabilities"], serde_json::json!({"models": ["l", "a"], "http": []}));
    assert_eq!(described["limits"]["tokens"], "100000/3600s");
}

#[test]
fn another_component_is_another_configuration_and_its_file_is_followed() {
    let folder = folder(ROUTE, "{x: {component: x.wasm}}");
    let component = folder.path().join("x.wasm");
    let before = read(folder.path()).unwrap();
    assert!(before.files.contains(&component), "{:?}", before.files);
    assert_eq!(read(folder.path()).unwrap().spec.hash, before.spec.hash);
    fs::write(&component, "another").unwrap();
    assert_ne!(read(folder.path()).unwrap().spec.hash, before.spec.hash);
    fs::write(&component, "one").unwrap();
    assert_eq!(read(folder.path()).unwrap().spec.hash, before.spec.hash);
}

#[test]
fn a_component_that_is_fetched_is_known_by_its_pin() {
    let (pin, other) = (Digest::of(b"one"), Digest::of(b"two"));
    let hash = |plugin: &str| {
        let folder = folder(ROUTE, &format!("{{x: {plugin}}}"));
        let loaded = read(folder.path()).unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(loaded.warnings, []);
        (loaded.spec.hash.clone(), loaded.spec.plugins["x"].clone(), loaded.files.len())
    };
    let (first, plugin, files) = hash(&format!(
        "{{component: \"oci://ghcr.io/org/x:1\", sha256: \"{pin}\", auth: {{bearer: \"${{env:KEY}}\"}}}}"
    ));
    // Nothing was read for it but the configuration itself.
    assert_eq!((files, plugin.sha256), (1, Some(pin)));
    assert_eq!(plugin.component.to_string(), "oci://ghcr.io/org/x:1");
    assert!(matches!(&plugin.auth, Some(ComponentAuth::Bearer(token)) if token.expose() == "s3cret"), "{plugin:?}");
    assert!(!format!("{plugin:?}").contains("s3cret"));
    let (second, plugin, _) = hash(&format!("{{component: \"https://example.com/x.wasm\", sha256: \"{pin}\"}}"));
    let (third, ..) = hash(&format!("{{component: \"https://example.com/x.wasm\", sha256: \"{other}\"}}"));
    assert!(first != second && second != third && plugin.component.is_far());
}

#[test]
fn a_plugin_that_nobody_uses_is_warned_of() {
    let folder = folder("{a: {model: a}, b: {model: b}, l: {model: l}}", "{x: {component: x.wasm}}");
    let warnings: Vec<_> = read(folder.path()).unwrap().warnings.into_iter().map(|finding| finding.message).collect();
    assert_eq!(warnings, ["nobody uses the plugin `x`"]);
}

#[test]
fn a_policy_that_asks_a_plugin_is_read() {
    let of = |policy: &str| {
        let route = format!(
            "{{r: {{variants: {{a: {{model: a}}, b: {{model: b}}}}, policy: {{router: {policy}}}}}, l: {{model: l}}}}"
        );
        read(folder(&route, "{x: {component: x.wasm}}").path())
    };
    let loaded = of("{plugin: x, features: [language, {prompt_length: {}}], shares: {b: 70%, a: 30%}, explore: 5%}");
    let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.warnings, []);
    let PolicySpec::Advised(advised) = &loaded.spec.routes["r"].policy else { panic!("another policy") };
    assert_eq!((advised.plugin.as_str(), advised.features.len(), advised.explore), ("x", 2, 0.05));
    assert_eq!(advised.shares, [0.3, 0.7]);
    let shown = &crate::describe(&loaded.spec)["routes"]["r"]["policy"]["router"];
    assert_eq!(
        (&shown["plugin"], &shown["shares"]["b"]),
        (&serde_json::json!("x"), &serde_json::json!(0.7)),
        "{shown}"
    );
    let PolicySpec::Advised(usual) = of("{plugin: x}").unwrap().spec.routes["r"].policy.clone() else {
        panic!("another")
    };
    assert_eq!((usual.shares, usual.explore, usual.features), (vec![0.5, 0.5], 0.02, Vec::new()));
    for (policy, fault) in [
        ("{}", "`plugin` is missing"),
        ("{plugin: y}", "there is no plugin `y`"),
        ("{plugin: x, features: []}", "no features are regarded"),
        ("{plugin: x, shares: {a: 100%}}", "the variant `b` has no share"),
        ("{plugin: x, shares: {a: 50%, b: 60%}}", "add up to 110%"),
        ("{plugin: x, shares: {a: 50%, c: 50%}}", "`c`"),
    ] {
        let says = of(policy).map(|_| ()).expect_err(policy).to_string();
        assert!(says.contains(fault), "{policy}: {says}");
    }
}

#[test]
fn plugins_of_several_files_are_joined() {
    let folder = folder(ROUTE, "{x: {component: x.wasm}}");
    fs::write(folder.path().join("d.yaml"), "plugins: {y: {component: signed.wasm}}\n").unwrap();
    assert_eq!(load(folder.path(), &env).unwrap().spec.plugins.len(), 2);
    fs::write(folder.path().join("d.yaml"), "plugins: {x: {component: signed.wasm}}\n").unwrap();
    assert!(load(folder.path(), &env).unwrap_err().to_string().contains("`x` stands here and in"));
}
