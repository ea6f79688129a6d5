//! A card as a page: Markdown with the front matter that Hugging Face reads. Owns the order and the headings.

use super::Card;
use crate::version::ModelVersion;

/// The page of a version's card.
#[must_use]
pub fn markdown(version: &ModelVersion, card: &Card) -> String {
    let mut page = String::from("---\n");
    front_matter(&mut page, version, card);
    page.push_str("---\n\n");
    line(&mut page, format_args!("# {}, version {}", version.name, version.version));
    let parts = [
        (None, "summary"),
        (Some("Owner"), "owner"),
        (Some("Intended use"), "intended_use"),
        (Some("Out of scope"), "out_of_scope"),
        (Some("Limitations"), "limitations"),
        (Some("Training data"), "training_data"),
        (Some("Evaluation"), "evaluation"),
        (Some("Ethics"), "ethics"),
        (Some("To be reviewed by"), "review_by"),
    ];
    for (heading, field) in parts {
        let Some(text) = card.text(field) else { continue };
        if let Some(heading) = heading {
            line(&mut page, format_args!("\n## {heading}"));
        }
        line(&mut page, format_args!("\n{}", text.trim()));
    }
    provenance(&mut page, version);
    page
}

/// A JSON text is a YAML one too, so that no text of a card can become another key.
fn front_matter(page: &mut String, version: &ModelVersion, card: &Card) {
    for (key, field) in [("license", "license"), ("pipeline_tag", "pipeline_tag"), ("library_name", "library_name")] {
        if let Some(text) = card.text(field) {
            line(page, format_args!("{key}: {}", quoted(text)));
        }
    }
    for (key, field) in [("language", "languages"), ("tags", "tags"), ("datasets", "datasets")] {
        let entries = card.list(field);
        if !entries.is_empty() {
            line(page, format_args!("{key}:"));
            for entry in entries {
                line(page, format_args!("- {}", quoted(entry)));
            }
        }
    }
    if let Some(parent) = &version.facts.lineage.parent {
        line(page, format_args!("base_model: {}", quoted(&parent.to_string())));
    }
}

/// What the registry knows by itself.
fn provenance(page: &mut String, version: &ModelVersion) {
    let (facts, lineage) = (&version.facts, &version.facts.lineage);
    let rows = [
        ("Registered by", (!version.owner.is_empty()).then(|| version.owner.clone())),
        ("Source", (!version.source.is_empty()).then(|| version.source.clone())),
        ("Format", facts.format.map(|format| format.to_string())),
        ("SHA-256", facts.sha256.map(|digest| digest.to_string())),
        ("Made of", lineage.parent.as_ref().map(ToString::to_string)),
        ("Training data (SHA-256)", lineage.training_data.map(|digest| digest.to_string())),
        ("Training data (DVC)", lineage.dvc.clone()),
        ("Code", lineage.git_commit.clone()),
    ];
    line(page, format_args!("\n## Provenance\n"));
    for (name, value) in rows {
        if let Some(value) = value {
            line(page, format_args!("- {name}: `{}`", value.replace('`', "'")));
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.push_str(&text.to_string());
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::tests::sample;
    use crate::facts::{Lineage, VersionFacts, VersionId};
    use crate::model::RegisteredName;
    use crate::version::Stage;
    use std::collections::BTreeMap;

    fn version() -> ModelVersion {
        ModelVersion {
            name: RegisteredName::new("mail").unwrap(),
            version: 3,
            source: "models/mail.gguf".into(),
            storage: "models/mail.gguf".into(),
            run_id: String::new(),
            run_link: String::new(),
            logged_model: String::new(),
            facts: VersionFacts {
                lineage: Lineage { parent: Some(VersionId::read("base/2").unwrap()), ..Lineage::default() },
                ..VersionFacts::default()
            },
            owner: "ann".into(),
            description: None,
            stage: Stage::None,
            created: 0,
            updated: 0,
            tags: BTreeMap::new(),
            aliases: Vec::new(),
        }
    }

    #[test]
    fn a_page_has_front_matter_and_sections_in_order() {
        let page = markdown(&version(), &Card::read(&sample()).unwrap());
        let expected = "---\nlicense: \"apache-2.0\"\nlanguage:\n- \"de\"\n- \"en\"\nbase_model: \"base/2\"\n---\n\n\
            # mail, version 3\n\nSorts support mail.\n\n## Owner\n\nsupport-ml@example.org\n\n## Intended use\n\n\
            Routing of mail in German and English.\n\n## Limitations\n\nShort mails are sorted by chance.\n\n\
            ## Training data\n\n300,000 mails of 2024, without names.\n\n## Evaluation\n\n\
            Accuracy 0.93 on 10,000 mails of 2025.\n\n## To be reviewed by\n\n2027-01-31\n\n## Provenance\n\n\
            - Registered by: `ann`\n- Source: `models/mail.gguf`\n- Made of: `base/2`\n";
        assert_eq!(page, expected);
    }

    #[test]
    fn no_text_becomes_another_key_of_the_front_matter() {
        let mut card = sample();
        card["license"] = "mit\n---\nevil: true".into();
        card["tags"] = serde_json::json!(["a: b", "- c", "\u{2028}#x"]);
        let page = markdown(&version(), &Card::read(&card).unwrap());
        let front = page.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap().0;
        assert_eq!(front.lines().next(), Some(r#"license: "mit\n---\nevil: true""#));
        assert!(front.lines().all(|line| !line.starts_with("evil")), "{front}");
    }
}
