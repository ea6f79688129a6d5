//! What is found, and what only looks like it.

use super::*;

fn found(text: &str) -> Vec<(Kind, &str)> {
    let finds = pieces(&Kind::ALL, text).into_iter().filter_map(|piece| match piece {
        Piece::Found(kind, found) => Some((kind, found)),
        Piece::Text(_) => None,
    });
    finds.collect()
}

fn one(kind: Kind, texts: &[&str]) {
    for text in texts {
        assert_eq!(found(text), [(kind, *text)], "{text}");
        let within = format!("See {text}, please.");
        assert_eq!(found(&within), [(kind, *text)], "{within}");
    }
}

fn none(texts: &[&str]) {
    for text in texts {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn mail() {
    one(Kind::Email, &["max@example.org", "a.b-c+d_e@sub.example.co.uk", "o'neil@müller.de", "x@xn--mller-kva.de"]);
    none(&["max@localhost", "max@", "@example.org", "max@-example.org", "max@example.1", "a @ b.de"]);
    assert_eq!(found("<max@example.org>."), [(Kind::Email, "max@example.org")]);
    assert_eq!(found("联系test@example.org吧"), [(Kind::Email, "test@example.org")]);
    let long = format!("{}@example.org", "a".repeat(65));
    none(&[long.as_str()]);
}

#[test]
fn accounts_by_length_and_check_digits() {
    one(
        Kind::Iban,
        &["DE89370400440532013000", "DE89 3704 0044 0532 0130 00", "GB82 WEST 1234 5698 7654 32", "NO93 8601 1117 947"],
    );
    assert_eq!(found("de89 3704 0044 0532 0130 00 und mehr"), [(Kind::Iban, "de89 3704 0044 0532 0130 00")]);
    none(&["DE89370400440532013001", "XX89370400440532013000", "DE8937040044053201300"]);
    assert_eq!(
        found("DE89 3704 0044 0532 0130 01"),
        [(Kind::Phone, "0044 0532 0130 01")],
        "it is no account, and not nothing"
    );
}

#[test]
fn cards_by_network_and_check_digit() {
    one(
        Kind::Card,
        &[
            "4111111111111111",
            "4111 1111 1111 1111",
            "5555-5555-5555-4444",
            "378282246310005",
            "3782 822463 10005",
            "6011111111111117",
            "2223003122003222",
            "30569309025904",
        ],
    );
    none(&["4111111111111112", "1111 1111 1111 1117", "41111111111111111111111", "x4111111111111111"]);
    assert_eq!(found("4111 1111 1111 1111 12/29"), [(Kind::Card, "4111 1111 1111 1111")]);
}

#[test]
fn social_security_numbers_that_were_given() {
    one(Kind::Ssn, &["078-05-1120", "123-45-6789"]);
    none(&["000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000", "123-45-67890", "123-45-6789-1"]);
}

#[test]
fn addresses_of_both_versions() {
    one(Kind::Ipv4, &["192.168.0.1", "8.8.8.8"]);
    one(Kind::Ipv6, &["fe80::1", "2001:db8::8a2e:370:7334", "::1", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.1"]);
    none(&["1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "std::vec", "a::b", "12:30:45", "::", "a1:b2:c3:d4:e5:f6"]);
    assert_eq!(found("http://10.0.0.1:8080/x"), [(Kind::Ipv4, "10.0.0.1")]);
    assert_eq!(found("[fe80::1]:443"), [(Kind::Ipv6, "fe80::1")]);
    assert_eq!(found("It is fe80::1."), [(Kind::Ipv6, "fe80::1")]);
}

#[test]
fn telephones() {
    one(
        Kind::Phone,
        &[
            "+49 30 12345678",
            "+49 (0)30 123 456-78",
            "+15552345678",
            "(555) 234-5678",
            "(030) 1234567",
            "555-234-5678",
            "555.234.5678",
            "1-800-555-1234",
            "0171/1234567",
            "030 1234567",
            "06 12 34 56 78",
            "0049 30 1234567",
        ],
    );
    none(&[
        "2024-01-15 10:30",
        "01.02.2024",
        "01/02/2024",
        "5552345678",
        "12 345 678",
        "1,000,000.00",
        "+1",
        "0 1 2 3",
        "v1.555.234.5678",
        "10 000 000",
        "007",
    ]);
    assert_eq!(found("tel:+493012345678"), [(Kind::Phone, "+493012345678")]);
    assert_eq!(found("+49 30 123456 2x"), [(Kind::Phone, "+49 30 123456")]);
}

#[test]
fn many_in_one_text_are_all_found() {
    let text = "max@example.org,moritz@example.org;4111111111111111 078-05-1120\n10.0.0.1";
    let kinds: Vec<Kind> = found(text).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [Kind::Email, Kind::Email, Kind::Card, Kind::Ssn, Kind::Ipv4]);
}

#[test]
fn only_what_is_asked_for_is_found() {
    let pieces = pieces(&[Kind::Email], "max@example.org 10.0.0.1");
    assert_eq!(pieces, [Piece::Found(Kind::Email, "max@example.org"), Piece::Text(" 10.0.0.1")]);
}
