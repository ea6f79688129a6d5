//! What clients send is read, what is wrong is named in the words that they match, and no text harms the parser.

use super::*;
use proptest::prelude::*;

fn models(text: &str) -> Result<Filter, String> {
    Filter::parse(text, Target::Models).map_err(|fault| fault.says.into_owned())
}

fn versions(text: &str) -> Result<Filter, String> {
    Filter::parse(text, Target::Versions).map_err(|fault| fault.says.into_owned())
}

fn clause(key: Key, operator: Operator, value: &str) -> Clause {
    Clause { key, operator, value: Operand::Text(value.into()) }
}

#[test]
fn what_the_client_sends_is_read() {
    let filter = models("name ILIKE '%m%' and tags.k = 'v' AND tag.`mlflow.prompt.is_prompt` != 'true'").unwrap();
    assert!(!filter.prompts);
    assert_eq!(
        filter.clauses,
        [clause(Key::Name, Operator::Ilike, "%m%"), clause(Key::Tag("k".into()), Operator::Equal, "v")]
    );
    let filter = models("tags.`mlflow.prompt.is_prompt` = 'true' AND name = 'p'").unwrap();
    assert!(filter.prompts);
    assert_eq!(filter.clauses, [clause(Key::Name, Operator::Equal, "p")]);
    let filter = versions("name='m' and run_id IN ('a', \"b\") and version_number >= 3").unwrap();
    assert_eq!(
        filter.clauses[1],
        Clause { key: Key::RunId, operator: Operator::In, value: Operand::List(vec!["a".into(), "b".into()]) }
    );
    assert_eq!(filter.clauses[2], Clause { key: Key::Number, operator: Operator::AtLeast, value: Operand::Number(3) });
    assert_eq!(models("").unwrap(), Filter::default());
    // The client adds its clause to whatever its caller wrote.
    let filter = models("name='a' AND AND tag.`mlflow.prompt.is_prompt` != 'true'").unwrap();
    assert_eq!(filter.clauses, [clause(Key::Name, Operator::Equal, "a")]);
}

#[test]
fn quotes_hold_what_looks_like_grammar() {
    let filter = models("name = 'a'' AND name = \"b' AND tags.\"x y.z\" LIKE \"%'%\"").unwrap();
    assert_eq!(
        filter.clauses,
        [
            clause(Key::Name, Operator::Equal, "a' AND name = \"b"),
            clause(Key::Tag("x y.z".into()), Operator::Like, "%'%")
        ]
    );
}

#[test]
fn faults_are_said_in_the_words_that_clients_match() {
    for (text, says) in [
        ("foo = 'x'", "Invalid attribute key 'foo' specified. Valid keys are '{'name'}'"),
        ("name = 'a' OR name = 'b'", "Invalid clause(s) in filter string: OR"),
        ("name = 'a' name = 'b'", "Invalid clause(s) in filter string: name = 'b'"),
        ("`name` = 'a'", "Invalid attribute key '`name`' specified. Valid keys are '{'name'}'"),
        ("\"name\" = 'a'", "Invalid attribute key '\"name\"' specified."),
        ("(name = 'a')", "Invalid clause(s) in filter string: (name = 'a')"),
        ("'a' = 'b'", "Invalid comparison clause. Expected 'Identifier' found ''a''"),
        ("name == 'a'", "Invalid comparator for attribute: =="),
        ("name <> 'a'", "Invalid comparator for attribute: <>"),
        ("tags.k IN ('a')", "Expected a quoted string value for tag (e.g. 'my-value'). Got value ('a')"),
        ("metrics.a = 'x'", "Invalid entity type 'metrics'."),
        ("name > 'x'", "Invalid comparator for attribute: >"),
        ("tags.a > 'x'", "Invalid comparator for tag: >"),
        ("name = 5", "Expected a quoted string value or a list of quoted string values for attributes. Got value 5"),
        ("tags.a = 5", "Expected a quoted string value for tag (e.g. 'my-value'). Got value 5"),
        ("name = x", "Parameter value is either not quoted"),
        ("name IN ()", "expected a non-empty list of string values, but got empty list"),
        ("name IN ('a',)", "ill-formed list"),
        ("name IN ('a',1)", "different type in list: ('a', 1)"),
        ("name", "Invalid clause(s) in filter string: name"),
        ("name = 'a", "Invalid clause(s) in filter string: 'a"),
        ("= 'a'", "Invalid clause(s) in filter string"),
        ("name = ('a')", "Invalid clause(s) in filter string"),
        ("name IN ('a'", "Invalid clause(s) in filter string: name, IN, (, 'a'"),
        ("name IN", "Invalid clause(s) in filter string"),
        ("evilhax = true", "Invalid clause(s) in filter string: evilhax, =, true"),
    ] {
        let fault = models(text).unwrap_err();
        assert!(fault.contains(says), "{text}: {fault}");
    }
    for (text, says) in [
        ("version_number = 'x'", "Invalid value for numeric attribute 'version_number': 'x'"),
        ("version_number = 1.5", "Invalid value for numeric attribute 'version_number': 1.5"),
        ("version_number LIKE '1'", "Invalid value for numeric attribute"),
        ("run_id > 'x'", "Invalid comparator for attribute: >"),
        ("source_path IN ('x')", "Only ['name', 'run_id'] attributes support"),
    ] {
        let fault = versions(text);
        assert!(text.contains("LIKE") || fault.unwrap_err().contains(says), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_harms_the_parser(text in "\\PC{0,60}") {
        drop(models(&text));
        drop(versions(&text));
    }

    #[test]
    fn any_text_comes_through_its_quotes(value in "\\PC{0,40}") {
        let quoted = value.replace('\'', "''");
        let filter = models(&format!("name = '{quoted}'")).unwrap();
        prop_assert_eq!(filter.clauses, [clause(Key::Name, Operator::Equal, &value)]);
    }
}
