//! In which language a text seems to be: by the script of its letters, and for some languages in Latin letters by their
//! commonest words. A guess that costs microseconds and is right for a sentence or two; it is no more than a feature, so
//! one that is wrong in the same way each time is as good.

use tidegate_core::spec::feature::Language;

/// How many characters are looked at.
const LETTERS: usize = 1000;

/// How many of the commonest words must be there.
const LEAST: u32 = 2;

/// Words that are common in one language; those common in another one too count for both.
const WORDS: [(Language, &[&str]); 4] = [
    (
        Language::English,
        &[
            "the", "and", "of", "to", "is", "are", "was", "that", "this", "it", "what", "with", "for", "how", "you",
            "i", "my", "please", "can", "not", "in", "be", "do", "from", "which", "who", "why", "write", "me",
        ],
    ),
    (
        Language::German,
        &[
            "der", "die", "das", "und", "ist", "sind", "war", "nicht", "ein", "eine", "einen", "wie", "mit", "für",
            "ich", "zu", "auf", "den", "dem", "bitte", "was", "sich", "von", "wer", "warum", "mir", "es", "in", "im",
            "du",
        ],
    ),
    (
        Language::French,
        &[
            "le", "la", "les", "des", "et", "est", "sont", "une", "un", "que", "dans", "pour", "pas", "vous", "je",
            "qui", "du", "avec", "comment", "sur", "au", "de", "en", "ce", "mon", "quel", "quelle", "pourquoi", "moi",
        ],
    ),
    (
        Language::Spanish,
        &[
            "el", "la", "los", "las", "y", "es", "son", "una", "un", "que", "en", "por", "para", "con", "como", "qué",
            "cómo", "del", "de", "se", "no", "lo", "mi", "su", "quién", "cuál", "favor", "me", "al",
        ],
    ),
];

/// Letters that only one of these languages has; one of them counts as a word.
const LETTERS_OF: [(Language, &str); 3] =
    [(Language::German, "ßäö"), (Language::French, "œçêû"), (Language::Spanish, "ñ¿¡")];

/// The language of `text`; `None` where it has no letters of a script that is told apart.
pub(crate) fn guess(text: &str) -> Option<Language> {
    let mut counts = [0u32; 4];
    for letter in text.chars().take(LETTERS) {
        if let Some(script) = script(letter) {
            // A sign for a word or a syllable stands for some letters.
            counts[script] += if script == 3 { 3 } else { 1 };
        }
    }
    let most = *counts.iter().max()?;
    let script = counts.iter().position(|count| *count == most && most > 0)?;
    match script {
        0 => Some(latin(text)),
        1 => Some(Language::Cyrillic),
        2 => Some(Language::Arabic),
        _ => Some(Language::Cjk),
    }
}

/// Latin, Cyrillic, Arabic, and what is written in China, Japan and Korea, by the blocks of Unicode.
const fn script(letter: char) -> Option<usize> {
    match letter {
        'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Some(0),
        '\u{400}'..='\u{52f}' | '\u{1c80}'..='\u{1c8f}' => Some(1),
        '\u{600}'..='\u{6ff}' | '\u{750}'..='\u{77f}' | '\u{8a0}'..='\u{8ff}' | '\u{fb50}'..='\u{fdff}' => Some(2),
        '\u{1100}'..='\u{11ff}'
        | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}'
        | '\u{20000}'..='\u{3134f}' => Some(3),
        _ => None,
    }
}

/// The language with most of its words; where none has enough, or two have as many, only the letters are known.
fn latin(text: &str) -> Language {
    let mut counts = WORDS.map(|(language, _)| (language, 0u32));
    let begin: String = text.chars().take(LETTERS).flat_map(char::to_lowercase).collect();
    for word in begin.split(|letter: char| !letter.is_alphabetic()).filter(|word| !word.is_empty()) {
        for ((_, words), (_, count)) in WORDS.iter().zip(&mut counts) {
            *count += u32::from(words.contains(&word));
        }
    }
    for (language, letters) in LETTERS_OF {
        if begin.contains(|letter| letters.contains(letter)) {
            counts.iter_mut().filter(|(of, _)| *of == language).for_each(|(_, count)| *count += 1);
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or_default();
    let mut best = counts.iter().filter(|(_, count)| *count == most);
    match (best.next(), best.next()) {
        (Some((language, _)), None) if most >= LEAST => *language,
        _ => Language::Latin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_known_by_its_script_or_its_commonest_words() {
        for (text, language) in [
            ("What is the capital of France?", Language::English),
            ("Write me a function that sorts a list", Language::English),
            ("Summarise this article in three sentences, please.", Language::English),
            ("Was ist die Hauptstadt von Frankreich?", Language::German),
            ("Schreibe mir bitte ein Gedicht über den Herbst", Language::German),
            ("Quelle est la capitale de la France ?", Language::French),
            ("Écris un poème sur l'automne, pour les enfants", Language::French),
            ("¿Cuál es la capital de Francia?", Language::Spanish),
            ("Escribe una función que ordene los números", Language::Spanish),
            ("Qual è la capitale della Francia? Grazie mille", Language::Latin),
            ("Jaka jest stolica Francji?", Language::Latin),
            ("asdf qwer", Language::Latin),
            ("Какая столица Франции?", Language::Cyrillic),
            ("ما هي عاصمة فرنسا؟", Language::Arabic),
            ("法国的首都是哪里？", Language::Cjk),
            ("フランスの首都はどこですか", Language::Cjk),
            ("프랑스의 수도는 어디입니까?", Language::Cjk),
            ("用 Python 写一个函数", Language::Cjk),
        ] {
            assert_eq!(guess(text), Some(language), "{text}");
        }
    }

    #[test]
    fn what_has_no_letters_has_no_language() {
        assert_eq!((guess(""), guess("12 + 7 = ?"), guess("שלום")), (None, None, None));
    }
}
