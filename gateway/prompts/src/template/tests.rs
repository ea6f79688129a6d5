//! What prompts render to, what is refused, and that nothing takes long or grows large.

use super::*;
use serde_json::json;

fn folder(files: &[(&str, &str)]) -> Folder {
    Folder::of(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())))
}

fn text(template: &str) -> Result<Prompt, SourceFault> {
    Prompt::compile(&folder(&[(PROMPT_FILE, "text: {file: t.md}"), ("t.md", template)]))
}

fn map(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

#[test]
fn messages_are_rendered_with_defaults_and_includes() {
    let prompt = Prompt::compile(&folder(&[
        (
            PROMPT_FILE,
            "messages:\n- {role: system, file: system.md}\n- {role: user, content: '{{ question }}'}\n\
             variables:\n  question: {type: string, maxLength: 9}\n  tone: {type: string, default: kind}\nparameters: {temperature: 0}\n",
        ),
        ("system.md", "Be {{ tone }}.\n{% include 'rules/a.md' %}\n"),
        ("rules/a.md", "Never lie to {{ question }}.\n"),
    ]))
    .unwrap();
    let rendered = prompt.render(&map(json!({"question": "<Ann>"}))).unwrap();
    assert_eq!(rendered.messages[0].content, "Be kind.\nNever lie to <Ann>.");
    assert_eq!(rendered.messages[1], PromptMessage { role: PromptRole::User, content: "<Ann>".into() });
    assert_eq!(rendered.parameters["temperature"], 0);
}

#[test]
fn variables_are_strict_and_named() {
    let yaml = "text: {content: '{{ a }}'}\nvariables: {a: {type: integer}}\n";
    let prompt = Prompt::compile(&folder(&[(PROMPT_FILE, yaml)])).unwrap();
    assert_eq!(prompt.render(&map(json!({}))), Err(RenderFault::Missing("a".into())));
    let unknown = prompt.render(&map(json!({"a": 1, "b": 2}))).unwrap_err();
    assert_eq!(unknown.to_string(), "the prompt has no variable `b`; it has `a`");
    let wrong = prompt.render(&map(json!({"a": "x"}))).unwrap_err();
    assert!(wrong.to_string().contains("`a`") && wrong.to_string().contains("integer"), "{wrong}");
    assert_eq!(prompt.render(&map(json!({"a": 7}))).unwrap().messages[0].content, "7");
}

#[test]
fn a_value_is_never_a_template() {
    let prompt = text("{{ a }}").unwrap();
    let given = map(json!({"a": "{{ 7 * 7 }}{% include 'x' %}"}));
    assert_eq!(prompt.render(&given).unwrap().messages[0].content, "{{ 7 * 7 }}{% include 'x' %}");
}

#[test]
fn undeclared_and_broken_templates_are_refused_when_they_are_read() {
    let refused =
        |yaml: &str, file: &str| Prompt::compile(&folder(&[(PROMPT_FILE, yaml), ("t.md", file)])).unwrap_err();
    let fault = refused("text: {file: t.md}\nvariables: {a: }\n", "{{ a }}{{ b }}");
    assert!(fault.to_string().contains("`b`"), "{fault}");
    assert_eq!(refused("text: {file: t.md}", "a\n{{ b | nonsense }}").line, Some(2));
    assert_eq!(refused("text: {file: t.md}", "a\n\n{{ b").line, Some(3));
    assert!(refused("text: {file: t.md}", "{% include '../x' %}").why.contains("no such file"));
    assert!(refused("text: {file: t.md}\nvariables: {}", "{% include 't.md' %}").why.contains("includes itself"));
    assert!(text("{% for i in range(999999999) %}x{% endfor %}").unwrap_err().why.contains("10000"));
    assert!(text("{{ self.__class__ }}{{").is_err());
}

#[test]
fn nothing_takes_long_or_grows_large() {
    let endless = text("{% for i in range(10000) %}{% for j in range(10000) %}{{ a }}{% endfor %}{% endfor %}");
    assert!(endless.is_err(), "found when it is read");
    let given = map(json!({"a": "x".repeat(100_000), "xs": vec!["y"; 1000]}));
    let render = |template: &str| {
        let yaml = "text: {file: t.md}\nvariables: {a: {default: ''}, xs: {default: []}}\n";
        Prompt::compile(&folder(&[(PROMPT_FILE, yaml), ("t.md", template)])).unwrap().render(&given).unwrap_err()
    };
    assert_eq!(render("{% for x in xs %}{% for y in xs %}{{ x }}{% endfor %}{% endfor %}"), RenderFault::Endless);
    assert_eq!(render("{% for x in xs %}{{ a }}{% endfor %}"), RenderFault::Long(RENDERED_BYTES));
    assert_eq!(render("{{ xs|join(a) }}"), RenderFault::Endless);
    assert_eq!(render("{{ a|replace('x', a) }}"), RenderFault::Endless);
    assert_eq!(render("{{ xs|map('replace', 'y', a)|list|length }}"), RenderFault::Endless);
    let quotes = "{{ '\"'".to_owned() + &"|tojson".repeat(60) + "|length }}";
    assert!(text(&quotes).is_err(), "sixty doublings are found when they are read");
}

#[test]
fn large_variables_are_refused() {
    let given = map(json!({"a": "x".repeat(2 << 20)}));
    assert!(matches!(text("{{ a }}").unwrap().render(&given), Err(RenderFault::Large(_))));
}

#[test]
fn a_text_is_rendered_to_the_byte() {
    for exact in ["a\n", "a\n\n", " a\r\n b ", "", "é\u{1f600}"] {
        let file = format!("{exact}\n");
        assert_eq!(text(&file).unwrap().render(&Map::new()).unwrap().messages[0].content, exact);
    }
}
