//! Which templates are let in. The engine counts steps, not bytes: forty doublings of a text are eighty steps and a
//! terabyte. So before a template is compiled its tags are read, and what could bind a value grown from itself beyond
//! a small factor is refused, as is every tag that a prompt does not need. Owns that reading and the limits.

/// The most that all bindings of a folder may multiply a value by.
pub(crate) const GROWTH: u64 = 256;
/// The most `~ + * ,` in one tag that binds nothing.
const OPERATORS: u64 = 64;
/// The most tags in one file.
const TAGS: usize = 4096;
/// Tags that a prompt may use.
const ALLOWED: [&str; 14] = [
    "if", "elif", "else", "endif", "for", "endfor", "set", "with", "endwith", "include", "raw", "endraw", "break",
    "continue",
];

/// What a template was seen to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// The files that it includes.
    pub(crate) includes: Vec<String>,
    /// By how much its bindings may multiply a value.
    pub(crate) growth: u64,
}

/// A template that is not let in: its line and why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) line: u64,
    pub(crate) why: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Text(&'a str),
    Sign(char),
}

/// Reads the tags of a template.
pub(crate) fn scan(source: &str) -> Result<Scan, Refused> {
    let mut found = Scan { growth: 1, ..Scan::default() };
    let (mut at, mut loops, mut tags) = (0, 0usize, 0usize);
    while let Some(start) = source[at..].find('{').map(|i| i + at) {
        let refuse = |why: String| Refused { line: line_of(source, start), why };
        let rest = &source[start..];
        if rest.starts_with("{#") {
            at = start + rest.find("#}").ok_or_else(|| refuse("a comment `{#` has no end `#}`".into()))? + 2;
            continue;
        }
        let end = match rest.as_bytes().get(1) {
            Some(b'%') => "%}",
            Some(b'{') => "}}",
            _ => {
                at = start + 1;
                continue;
            }
        };
        tags += 1;
        if tags > TAGS {
            return Err(refuse(format!("more than {TAGS} tags")));
        }
        let (tokens, len) = tag(&rest[2..], end).map_err(refuse)?;
        at = start + 2 + len;
        if end == "}}" {
            simple(&tokens).map_err(refuse)?;
            continue;
        }
        match tokens.first() {
            Some(Token::Word("raw")) => {
                if !matches!(tokens[..], [_] | [_, Token::Sign('-' | '+')]) {
                    return Err(refuse("`raw` takes nothing more".into()));
                }
                at += raw_end(&source[at..]).ok_or_else(|| refuse("`raw` has no `endraw`".into()))?;
            }
            Some(Token::Word("for")) => {
                loops += 1;
                bind(&tokens, &mut found).map_err(refuse)?;
            }
            Some(Token::Word("endfor")) => loops = loops.saturating_sub(1),
            Some(Token::Word("set")) => {
                if !tokens.contains(&Token::Sign('=')) {
                    return Err(refuse("`set` takes a value here: `{% set name = value %}`".into()));
                }
                if loops > 0 && operators(&tokens) > 0 {
                    return Err(refuse(
                        "`set` within a loop takes no `~ + * ,`: write the text where it is put out".into(),
                    ));
                }
                bind(&tokens, &mut found).map_err(refuse)?;
            }
            Some(Token::Word("with")) => bind(&tokens, &mut found).map_err(refuse)?,
            Some(Token::Word("include")) => found.includes.push(include(&tokens).map_err(refuse)?),
            Some(Token::Word(word)) if ALLOWED.contains(word) => simple(&tokens).map_err(refuse)?,
            Some(Token::Word(word)) => {
                return Err(refuse(format!(
                    "the tag `{word}` is not for prompts; there are if, for, set, with, include, raw"
                )));
            }
            _ => return Err(refuse("a tag without a word".into())),
        }
    }
    Ok(found)
}

fn line_of(source: &str, at: usize) -> u64 {
    source.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() as u64 + 1
}

/// The tokens of a tag and the bytes up to behind its end.
fn tag<'a>(text: &'a str, end: &str) -> Result<(Vec<Token<'a>>, usize), String> {
    let (mut tokens, mut at, mut open) = (Vec::new(), 0, 0u32);
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if open == 0 && rest.starts_with(end) {
            return Ok((tokens, at + 2));
        }
        if c == '"' || c == '\'' {
            let len = quoted(rest).ok_or("a text in a tag has no closing quote")?;
            tokens.push(Token::Text(&rest[1..len - 1]));
            at += len;
        } else if c.is_alphanumeric() || c == '_' {
            let len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(Token::Word(&rest[..len]));
            at += len;
        } else {
            match c {
                '(' | '[' | '{' => open += 1,
                ')' | ']' | '}' => open = open.saturating_sub(1),
                _ => {}
            }
            // The blank control right behind the beginning is no sign of the expression.
            if !c.is_whitespace() && !(at == 0 && (c == '-' || c == '+')) {
                tokens.push(Token::Sign(c));
            }
            at += c.len_utf8();
        }
    }
    Err(format!("a tag has no end `{end}`"))
}

/// The bytes of a quoted text, quotes included.
fn quoted(text: &str) -> Option<usize> {
    let quote = *text.as_bytes().first()?;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if byte == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The bytes up to the tag that ends raw text: exactly what the engine takes for it, since what stands behind a tag
/// that only we took for it would be read as text here and run there.
fn raw_end(text: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(start) = text[at..].find("{%").map(|i| i + at) {
        let inner = &text[start + 2..];
        let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner).trim_start();
        let behind = inner.strip_prefix("endraw").map(str::trim_start);
        if behind.is_some_and(|behind| behind.strip_prefix(['-', '+']).unwrap_or(behind).starts_with("%}")) {
            return Some(start);
        }
        at = start + 2;
    }
    None
}

fn operators(tokens: &[Token<'_>]) -> u64 {
    let of = |token: &Token<'_>| match token {
        Token::Sign('~' | '+' | ',') => 1,
        // A text times a number may be the engine's 100 MB.
        Token::Sign('*') => OPERATORS / 2,
        _ => 0,
    };
    tokens.iter().map(of).sum()
}

fn simple(tokens: &[Token<'_>]) -> Result<(), String> {
    if operators(tokens) > OPERATORS {
        return Err(format!("more than {OPERATORS} of `~ + * ,` in one tag"));
    }
    Ok(())
}

fn bind(tokens: &[Token<'_>], found: &mut Scan) -> Result<(), String> {
    if tokens.contains(&Token::Word("recursive")) {
        return Err("a loop cannot be recursive in a prompt".into());
    }
    found.growth = found.growth.saturating_mul(1 + operators(tokens));
    if found.growth > GROWTH {
        return Err(
            "the `~ + * ,` in `set`, `with` and `for` could multiply a text too often: put it out in pieces".into()
        );
    }
    Ok(())
}

fn include(tokens: &[Token<'_>]) -> Result<String, String> {
    match tokens {
        [_, Token::Text(name)] | [_, Token::Text(name), Token::Sign('-' | '+')] if !name.contains('\\') => {
            Ok((*name).to_owned())
        }
        _ => Err("`include` takes the name of one file of the folder, as in `{% include \"rules.md\" %}`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PIECES: &[&str] = &[
        "{% macro m() %}x{% endmacro %}",
        "{% macro m() %}",
        "{% endmacro %}",
        "{% raw %}",
        "{%- raw -%}",
        "{%raw%}",
        "{% raw x %}",
        "{% endraw %}",
        "{%-endraw+%}",
        "{%--endraw%}",
        "{% endrawx %}",
        "{% endraw x %}",
        "{#",
        "#}",
        "-#}",
        "{{ a }}",
        "{{",
        "}}",
        "{%",
        "%}",
        "{",
        "}",
        "\"",
        "'",
        "\\",
        "{{ \"",
        "\" }}",
        "{{ '",
        "' }}",
        "{{ {'a': a} }}",
        "(",
        ")",
        "{% if x %}",
        "{% endif %}",
        "{% if x",
        "-%}",
        " ",
        "\n",
        "a",
    ];

    #[test]
    fn what_prompts_use_is_let_in() {
        let source = "{# note {{ #}{% if a and b > 2 %}{{ a ~ \"}}\" }}{% endif %}{%- for x in xs -%}{{ x|upper }}{% endfor %}\
            {% set y = a|trim %}{% include \"rules.md\" %}{% raw %}{{ {% if %}{% endraw %}{{ {\"a\": {\"b\": 1}}|tojson }} { } }}";
        let found = scan(source).unwrap();
        assert_eq!(found, Scan { includes: vec!["rules.md".into()], growth: 1 });
    }

    #[test]
    fn what_grows_by_itself_is_refused() {
        let doublings = "{% set a = a ~ a %}".repeat(40);
        for bad in [
            doublings.as_str(),
            "{% for i in range(99) %}{% set a = a ~ a %}{% endfor %}",
            "{% macro m(x) %}{{ m(x ~ x) }}{% endmacro %}",
            "{% set a %}{{ b }}{{ b }}{% endset %}",
            "{% for i in t recursive %}{{ loop([i, i]) }}{% endfor %}",
            "{% include name %}",
            "{% include [\"a\", \"b\"] %}",
            "{% import \"a\" as b %}",
            "{% extends \"a\" %}",
            "{% call m() %}{% endcall %}",
            "{% filter upper %}{% endfilter %}",
            "{{",
            "{{ self.__class__ }}{{",
            "{% raw %}{{ x }}",
            "{# open",
            "{{ \"open }}",
        ] {
            assert!(scan(bad).is_err(), "{bad}");
        }
        assert_eq!(scan("a\nb\n{% do x %}").unwrap_err().line, 3);
    }

    #[test]
    fn the_engine_tells_of_its_macros() {
        let mut environment = minijinja::Environment::new();
        environment.add_template("t", "{% macro m() %}x{% endmacro %}").unwrap();
        let rendered = environment.get_template("t").unwrap().render_captured(()).unwrap();
        assert!(rendered.state().exports().contains(&"m"), "else the next test shows nothing");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[{}%#a-z~,\"' \n\\\\é=()-]{0,80}") {
            let _scan = scan(&text).is_ok();
        }

        /// Where the engine sees a tag we saw it: a macro that got past us would be among what a template exports.
        #[test]
        fn what_is_let_in_is_what_the_engine_reads(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..12)) {
            let text = pieces.concat();
            if scan(&text).is_ok() {
                let mut environment = minijinja::Environment::new();
                if environment.add_template_owned("t", text.clone()).is_ok() {
                    let template = environment.get_template("t").unwrap();
                    if let Ok(rendered) = template.render_captured(minijinja::context! {a => "v", x => 1}) {
                        prop_assert!(!rendered.state().exports().contains(&"m"), "{text}");
                    }
                }
            }
        }
    }
}
