//! What an import did, counted and said. Owns the words.

use crate::cli::print;
use crate::terminal::Style;
use tidegate_registry::import::Imported;

#[derive(Debug, Default)]
pub(super) struct Report {
    models: Counts,
    versions: Counts,
    left: usize,
    failed: usize,
    lines: Vec<String>,
}

#[derive(Debug, Default)]
struct Counts {
    created: usize,
    changed: usize,
    same: usize,
    kept: usize,
}

impl Counts {
    fn add(&mut self, outcome: &Imported) {
        *match outcome {
            Imported::Created => &mut self.created,
            Imported::Changed => &mut self.changed,
            Imported::Same => &mut self.same,
            Imported::Kept(_) => &mut self.kept,
        } += 1;
    }

    fn say(&self, what: &str) -> String {
        let Self { created, changed, same, kept } = self;
        format!("{what}: {created} new, {changed} changed, {same} as before, {kept} stay as they are here\n")
    }
}

impl Report {
    pub(super) fn model(&mut self, subject: &str, outcome: Imported) {
        self.models.add(&outcome);
        self.line(subject, outcome);
    }

    pub(super) fn version(&mut self, subject: &str, outcome: Imported) {
        self.versions.add(&outcome);
        self.line(subject, outcome);
    }

    pub(super) fn aliases(&mut self, subject: &str, outcome: Imported) {
        if let Imported::Kept(why) = outcome {
            self.models.kept += 1;
            self.line(subject, Imported::Kept(why));
        }
    }

    /// Something is not here now, for this reason.
    pub(super) fn left(&mut self, subject: &str, why: &str) {
        self.left += 1;
        self.lines.push(format!("left out  {subject}: {why}\n"));
    }

    /// What was left out may come in another time.
    pub(super) fn failed(&mut self) {
        self.failed += 1;
    }

    fn line(&mut self, subject: &str, outcome: Imported) {
        if let Imported::Kept(why) = outcome {
            self.lines.push(format!("stays     {subject}: {why}\n"));
        }
    }

    /// Writes it to standard output.
    pub(super) fn say(&self) -> anyhow::Result<()> {
        let left = match self.left {
            0 => String::new(),
            left => Style::stdout().warn(&format!("{left} things were left out\n")),
        };
        print(&format!("{}{}{}{left}", self.lines.concat(), self.models.say("models"), self.versions.say("versions")))
    }

    /// Whether that is what was asked for.
    pub(super) fn verdict(&self, strict: bool) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.failed == 0,
            "{} versions could not be had: run it again, it goes on where it stopped",
            self.failed
        );
        let stays = self.models.kept + self.versions.kept;
        anyhow::ensure!(!strict || self.left + stays == 0, "{} things were left out, and {stays} stay", self.left);
        Ok(())
    }
}
