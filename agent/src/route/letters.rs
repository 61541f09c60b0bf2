//! Whether a run of letters is a word that somebody might have chosen, or letters by chance.
//!
//! The measure is how usual each pair of neighbours is in English and the other languages of routes. Of random
//! lower-case letters, 1 in 10 strings of 8 pass for a word, 1 in 50 of 12; of the mixed case of base64, 1 in 40
//! and 1 in 100. Of true words, 1 in 100 do not pass. What is shorter than 5 letters nearly always does.

use super::words;

/// Below this, too little is known.
const SHORT: usize = 5;

/// From this on, letters from a to f alone are a number in hexadecimal.
const HEX: usize = 8;

/// The longest word: `validatingadmissionpolicybindings` and its like.
const LONGEST: usize = 40;

/// How unusual a letter is after another, by the row: 0 for every-day pairs, 3 for those that one word in a
/// thousand has. Counted over 10,000 words of technical prose and identifiers.
const AFTER: [&[u8; 26]; 26] = [
    b"20002102021000303000111212", // a
    b"02220233023023123112133323", // b
    b"02120230030022023010023313", // c
    b"02210222023122123112122323", // d
    b"01000012122000101000101022", // e
    b"12220133033133033122133323", // f
    b"13330211133121133013133323", // g
    b"03330333033222033121133323", // h
    b"01000003332000002100203130", // i
    b"23332333333333233323233333", // j
    b"13320332133232223312233323", // k
    b"02210233032022023311123303", // l
    b"01330333033213003312133323", // m
    b"02000102021121022200112323", // n
    b"11002112121000003000010223", // o
    b"03220221033023003010133323", // p
    b"33333333333333333333033333", // q
    b"02100113031101013000012313", // r
    b"03020230031112002200032313", // s
    b"02120220033122023001022202", // t
    b"11111213132000203000233232", // u
    b"03330333033323133223333333", // v
    b"13331331133231133113333333", // w
    b"23231232133333313331333333", // x
    b"22232333133222213212332333", // y
    b"13330333133333233333333333", // z
];

/// Whether `letters`, which are ASCII, may be a word, or several put together `likeThis`.
///
/// Bias: refuses strange words rather than letting chance pass.
pub(super) fn may_be_word(letters: &[u8]) -> bool {
    if letters.len() > LONGEST || is_hexadecimal(letters) {
        return false;
    }
    let mut tally = Tally::default();
    let mut rest = letters;
    let mut is_first = true;
    while !rest.is_empty() {
        let (hump, tail) = rest.split_at_checked(hump(rest)).unwrap_or((rest, &[]));
        if !tally.add(hump, is_first) {
            return false;
        }
        (rest, is_first) = (tail, false);
    }
    (letters.len() < SHORT && tally.humps <= 1) || tally.is_usual()
}

fn is_hexadecimal(letters: &[u8]) -> bool {
    letters.len() >= HEX && letters.iter().all(u8::is_ascii_hexdigit)
}

/// Length of the first word of `letters`: `get` of `getUser`, `HTTP` of `HTTPServer`.
fn hump(letters: &[u8]) -> usize {
    let upper = letters.iter().take_while(|letter| letter.is_ascii_uppercase()).count();
    let lower = letters.iter().skip(upper).take_while(|letter| letter.is_ascii_lowercase()).count();
    match (upper, lower) {
        (2.., 1..) => upper - 1,
        _ => (upper + lower).max(1),
    }
}

/// What is known of the words of a run.
#[derive(Default)]
struct Tally {
    humps: usize,
    letters: usize,
    pairs: usize,
    unusual: usize,
}

impl Tally {
    /// Another word; `false` if it cannot be one. A first of one letter, as in `eTag`, does not count.
    fn add(&mut self, hump: &[u8], is_first: bool) -> bool {
        if hump.len() == 1 {
            return is_first;
        }
        self.humps += 1;
        if words::is_particle(hump) {
            self.letters += 3;
            return true;
        }
        self.letters += hump.len();
        self.pairs += hump.len() - 1;
        self.unusual += hump.windows(2).map(unusualness).sum::<usize>();
        true
    }

    fn is_usual(&self) -> bool {
        let tolerance = if self.humps > 1 { 6 } else { 8 };
        3 * self.humps <= self.letters.max(3) && 2 * self.unusual <= self.pairs + tolerance
    }
}

fn unusualness(pair: &[u8]) -> usize {
    let place = |letter: u8| usize::from(letter.to_ascii_lowercase().wrapping_sub(b'a'));
    let &[first, second] = pair else { return 0 };
    let row = AFTER.get(place(first)).and_then(|row| row.get(place(second)));
    row.map_or(3, |digit| usize::from(digit.wrapping_sub(b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_letters_by_chance() {
        const WORDS: &str = "a me api html https users organizations emoji azure horizontalpodautoscalers inquiry \
                             strengths validatingadmissionpolicybindings benutzer bestellungen usuarios utilisateurs \
                             commandes prodotti ordini instellingen jazz quiz getUserById batchGetDocuments setIamPolicy \
                             IPAddress HTTPServer eTag iPhone OData TraceService testIamPermissions GraphQL openApi LOGIN \
                             USD Users MyAccount UserProfileDTO facade";
        const CHANCE: &str = "fdklsd xkqzwv qwrtzxcv hjkgfdsw bqxvjzkw deadbeef CAFEBABE dQwWgXcQ NffrFeUfNVaHib \
                              kPqRsTuV xQ ZgKwQm VbNmKqXz sdfkjhsdkfjh ljgdflgjf";
        let wrong = |list: &'static str, is_word: bool| {
            list.split_whitespace().filter(|text| may_be_word(text.as_bytes()) != is_word).collect::<Vec<_>>()
        };
        assert!(wrong(WORDS, true).is_empty(), "no words: {:?}", wrong(WORDS, true));
        assert!(wrong(CHANCE, false).is_empty(), "words: {:?}", wrong(CHANCE, false));
        assert!(!may_be_word(&[b'e'; LONGEST + 1]));
    }

    #[test]
    fn how_often_chance_passes() {
        let mut state = 1_u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let lower = b"abcdefghijklmnopqrstuvwxyz".as_slice();
        let mixed = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".as_slice();
        for (alphabet, length, most_per_thousand) in
            [(lower, 8, 130), (lower, 12, 30), (lower, 20, 5), (mixed, 8, 30), (mixed, 12, 20), (mixed, 20, 5)]
        {
            let passed = (0..2000).filter(|_| {
                let text: Vec<u8> =
                    (0..length).map(|_| alphabet[usize::try_from(next(alphabet.len() as u64)).unwrap()]).collect();
                may_be_word(&text)
            });
            let per_thousand = passed.count() / 2;
            assert!(per_thousand <= most_per_thousand, "{per_thousand} of 1000 with {length} letters");
        }
    }
}
