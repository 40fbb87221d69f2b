//! Checks how many lines each stack takes, for the table in the README.

/// The most lines that a stack may take.
const MOST: usize = 40;

const STACKS: [(&str, &str, &str); 7] = [
    ("attohttpc", "blocking", include_str!("attohttpc.rs")),
    ("curl", "blocking", include_str!("libcurl.rs")),
    ("ureq", "blocking, `ctc-ureq`", include_str!("ureq.rs")),
    (
        "smol + hyper",
        "async, without tokio's runtime",
        include_str!("smol_hyper.rs"),
    ),
    (
        "TLS for smol + hyper",
        "a file of its own",
        include_str!("smol_tls.rs"),
    ),
    (
        "tower with retry",
        "async, `ctc-tower`",
        include_str!("tower_retry.rs"),
    ),
    (
        "reqwest",
        "async, `ctc-reqwest`",
        include_str!("reqwest.rs"),
    ),
];

/// Counts lines of code, without comments, blank lines and imports.
fn lines_of_code(text: &str) -> usize {
    let mut in_import = false;
    let counts = |line: &&str| {
        let line = line.trim();
        in_import |= line.starts_with("use ");
        let is_code = !(in_import || line.is_empty() || line.starts_with("//"));
        in_import &= !line.ends_with(';');
        is_code
    };
    text.lines().filter(counts).count()
}

#[test]
fn every_stack_is_short_and_the_readme_says_how_short() {
    let mut table = String::from("| HTTP client | | lines |\n| --- | --- | --- |\n");
    for (name, kind, text) in STACKS {
        let lines = lines_of_code(text);
        assert!(
            lines <= MOST,
            "{name} takes {lines} lines, more than {MOST}"
        );
        table += &format!("| {name} | {kind} | {lines} |\n");
    }
    println!("{table}");
    let readme = include_str!("../../README.md");
    assert!(
        readme.contains(&table),
        "README.md should have this table:\n{table}"
    );
}

#[test]
fn imports_comments_and_blank_lines_are_not_counted() {
    let text = "//! Text.\n\nuse a::{\n    b,\n};\nuse c;\n\nfn f() {\n    // why\n    g();\n}\n";
    assert_eq!(lines_of_code(text), 3);
}
