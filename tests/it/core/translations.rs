//! The guide's pages in Spanish have the structure of the English ones.

/// The pages in both languages: name, English, Spanish.
const PAGES: [(&str, &str, &str); 3] = [
    (
        "front_end",
        include_str!("../../../src/guide/front_end.md"),
        include_str!("../../../src/guide/es/front_end.md"),
    ),
    (
        "sre",
        include_str!("../../../src/guide/sre.md"),
        include_str!("../../../src/guide/es/sre.md"),
    ),
    (
        "tech_leads",
        include_str!("../../../src/guide/tech_leads.md"),
        include_str!("../../../src/guide/es/tech_leads.md"),
    ),
];

/// What a translation keeps of a page.
#[derive(Debug)]
struct Structure {
    /// Headings, rows of tables, items of lists, and lines of code blocks, without their words.
    outline: Vec<String>,
    /// The targets of links. A page and its translation are the same target.
    links: Vec<String>,
    /// The code in sentences, sorted: words may change their order.
    codes: Vec<String>,
}

impl Structure {
    fn of(page: &str) -> Self {
        let (mut outline, mut text) = (Vec::new(), String::new());
        let mut block = None;
        for line in page.lines() {
            match (line.strip_prefix("```"), block) {
                (Some(language), None) => {
                    block = Some(language);
                    outline.push(line.to_owned());
                }
                (Some(_), Some(_)) => {
                    block = None;
                    outline.push(line.to_owned());
                }
                (None, Some(language)) => outline.push(code_of(language, line)),
                (None, None) => {
                    outline.extend(mark_of(line));
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
        let links = text.split("](").skip(1);
        let links = links.filter_map(|link| link.split(')').next());
        let links = links.map(|target| target.replace("guide::es::", "guide::"));
        let codes = text.split('`').skip(1).step_by(2);
        let mut codes: Vec<String> = codes.map(str::to_owned).collect();
        codes.sort();
        Self {
            outline,
            links: links.collect(),
            codes,
        }
    }
}

/// Returns what a translation keeps of a line of a code block: the drawing of a diagram, or code without its comment.
fn code_of(language: &str, line: &str) -> String {
    let comments: &[&str] = match language {
        "text" => {
            let is_drawn = |it: char| it >= '\u{2500}';
            let drawing = line.chars().map(|it| if is_drawn(it) { it } else { ' ' });
            return drawing.collect::<String>().trim_end().to_owned();
        }
        "js" => &["// ", "/** "],
        "sql" => &["-- "],
        _ => &[],
    };
    let starts = comments.iter().filter_map(|comment| line.find(comment));
    let end = starts.min().unwrap_or(line.len());
    line[..end].trim_end().to_owned()
}

/// Returns the mark of a line that is more than text: a heading, a row of a table, an item of a list.
fn mark_of(line: &str) -> Option<String> {
    if let Some((mark, heading)) = line.split_once(' ')
        && !mark.is_empty()
        && mark.chars().all(|it| it == '#')
    {
        // A name, as that of an alert, is the target of links.
        let is_name = !heading.contains(' ') && heading.chars().skip(1).any(char::is_uppercase);
        return Some(if is_name { line } else { mark }.to_owned());
    }
    if line.starts_with('|') {
        return Some("|".repeat(line.matches('|').count()));
    }
    let is_item = line.trim_start().starts_with("- ");
    is_item.then(|| String::from("-"))
}

/// Returns the first difference between the structures of two pages.
fn difference(english: &str, spanish: &str) -> Option<String> {
    let (english, spanish) = (Structure::of(english), Structure::of(spanish));
    let parts = [
        ("outline", english.outline, spanish.outline),
        ("links", english.links, spanish.links),
        ("codes", english.codes, spanish.codes),
    ];
    parts.into_iter().find_map(|(part, english, spanish)| {
        let mut all = 0..english.len().max(spanish.len());
        let at = all.find(|&at| english.get(at) != spanish.get(at))?;
        let (english, spanish) = (english.get(at), spanish.get(at));
        Some(format!(
            "{part}, entry {at}: English {english:?}, Spanish {spanish:?}"
        ))
    })
}

#[test]
fn every_spanish_page_has_the_structure_of_the_english_one() {
    for (name, english, spanish) in PAGES {
        assert_eq!(difference(english, spanish), None, "{name}");
    }
}

#[test]
fn the_pages_link_to_each_other() {
    for (name, english, spanish) in PAGES {
        let (to_spanish, to_english) = (format!("guide::es::{name})"), format!("guide::{name})"));
        let below_title = |page: &'static str| page.lines().nth(2).unwrap_or_default();
        assert!(below_title(english).contains(&to_spanish), "{name}");
        assert!(below_title(spanish).contains(&to_english), "{name}");
    }
    let guide = include_str!("../../../src/guide.rs");
    assert_eq!(guide.matches("\"guide/es/").count(), PAGES.len());
}

#[test]
fn each_kind_of_difference_is_found() {
    let english = "# Stock\n\n[How much](crate::guide::stock) is `left`.\n\n### NoStock\n\n\
        | Name | Kind |\n|---|---|\n| `left` | gauge |\n\n- one\n- two\n\n\
        ```js\nsell(1); // one\n```\n\n```text\nstock ──▶ sale\n  │ one\n```\n";
    let spanish = "# Existencias\n\n`left` es [lo que queda](crate::guide::es::stock).\n\n### NoStock\n\n\
        | Nombre | Tipo |\n|---|---|\n| `left` | gauge |\n\n- uno\n- dos\n\n\
        ```js\nsell(1); // una\n```\n\n```text\npieza ──▶ venta\n  │ una\n```\n";
    assert_eq!(difference(english, spanish), None);
    for (kept, changed) in [
        ("# Existencias", "## Existencias"),
        ("# Existencias\n", ""),
        ("### NoStock", "### SinExistencias"),
        ("::stock)", "::stocks)"),
        ("`left` es", "Es"),
        ("| gauge |", "| gauge | |"),
        ("| `left` | gauge |\n", ""),
        ("- dos\n", ""),
        ("```js", "```ts"),
        ("sell(1)", "sell(2)"),
        ("sell(1); // una\n", ""),
        ("pieza ──", "piezas ──"),
        ("  │ una\n", ""),
    ] {
        let wrong = spanish.replace(kept, changed);
        assert_ne!(wrong, spanish, "{kept}");
        assert!(difference(english, &wrong).is_some(), "{changed}");
    }
}
