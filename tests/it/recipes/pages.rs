//! What every recipe has: a text, code, a page of the guide and a test that runs its code.

use std::{collections::BTreeSet, fs, path::Path};

fn names(folder: &str, extension: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let files = files.filter(|it| it.extension().is_some_and(|it| it == extension));
    let names = files.map(|it| it.file_stem().unwrap().to_str().unwrap().to_owned());
    names.collect()
}

fn read(file: impl AsRef<Path>) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

#[test]
fn every_recipe_is_a_page_and_its_code_is_run() {
    const FOLDER: &str = "../src/guide/recipes";
    let (texts, schemas) = (names(FOLDER, "md"), names(FOLDER, "sql"));
    assert_eq!(texts, names(FOLDER, "rs"), "a text and its code");
    assert!(schemas.is_subset(&texts), "SQL without a text");

    let pages = read("../src/guide/recipes.rs");
    let tests = read("it/recipes.rs");
    for name in &texts {
        let sql = schemas.contains(name);
        let page = format!("recipe!({name}{}", if sql { ", sql" } else { "" });
        let run = [");", ", \"ignore\");"].map(|end| format!("{page}{end}"));
        assert!(
            run.iter().any(|page| pages.contains(page)),
            "{page}) is not in src/guide/recipes.rs"
        );
        assert!(
            tests.contains(&format!("mod {name};")),
            "no test mounts {name}"
        );
        let test = read(format!("it/recipes/{name}.rs"));
        let code = format!("#[path = \"../../../src/guide/recipes/{name}.rs\"]");
        assert!(
            test.contains(&code),
            "the test of {name} does not mount its code"
        );
        let schema = format!("recipes/{name}.sql");
        assert_eq!(
            test.contains(&schema),
            sql,
            "the test of {name} and its SQL"
        );

        let text = read(format!("{FOLDER}/{name}.md"));
        let (first, lines) = (text.lines().next().unwrap(), text.lines().count());
        assert!(first.ends_with('?'), "{name} begins with: {first}");
        assert!((10..=60).contains(&lines), "{name} has {lines} lines");
        for extension in ["rs", "sql"].iter().take(1 + usize::from(sql)) {
            let link = format!("\n[`{name}.{extension}`]: {name}.{extension}\n");
            assert!(
                text.contains(&link),
                "{name} does not link to its .{extension}"
            );
        }
    }
}
