//! The HTML page: one file, small, well formed, complete.

use flagperf_report::html;

use crate::fixture::{Size, run};

/// Checks that every tag that is opened is closed, in order, and returns the tags that occur.
pub(crate) fn tags(page: &str) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    let mut seen = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        let mut quote = false;
        let end = after
            .find(|c| {
                if c == '"' {
                    quote = !quote;
                }
                c == '>' && !quote
            })
            .expect("a tag ends");
        let tag = &after[..end];
        rest = &after[end + 1..];
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        if tag.starts_with('!') || ["meta", "link", "wbr"].contains(&name.as_str()) {
            continue;
        }
        if tag.starts_with('/') {
            assert_eq!(
                open.pop().as_deref(),
                Some(name.as_str()),
                "before {rest:.60}"
            );
            continue;
        }
        if ["script", "style"].contains(&name.as_str()) {
            let end = format!("</{name}>");
            rest = rest.split_once(end.as_str()).expect("it ends").1;
        } else {
            open.push(name.clone());
        }
        seen.push(name);
    }
    assert!(open.is_empty(), "left open: {open:?}");
    seen
}

#[test]
fn every_tag_is_closed_and_nothing_is_fetched() {
    let page = html(&run(Size::SMALL));
    let tags = tags(&page);
    for (tag, least) in [
        ("section", 12),
        ("svg", 200),
        ("table", 3),
        ("figure", 200),
        ("h2", 10),
    ] {
        let count = tags.iter().filter(|t| *t == tag).count();
        assert!(count >= least, "{count} {tag}");
    }
    for way_out in [
        "http:",
        "https:",
        "//",
        "src=",
        "url(",
        "@import",
        "<link rel=\"style",
        "<img",
    ] {
        let script = page.rsplit_once("<script>").unwrap();
        assert!(!script.0.contains(way_out), "{way_out}");
    }
    assert!(page.contains("default-src 'none'"));
    for way_out in ["fetch", "XMLHttpRequest", "import(", "http:", "https:"] {
        assert!(!page.contains(way_out), "{way_out}");
    }
}

#[test]
fn every_series_of_every_case_is_there() {
    let data = run(Size::SMALL);
    let page = html(&data);
    for samples in &data.samples {
        let cpus = samples
            .decls
            .iter()
            .filter(|d| d.name == "cpu.busy" && d.instance.is_some());
        // All cores share one picture.
        let pictures = samples.decls.len() - cpus.count() + 1;
        assert_eq!(
            page.matches("<figure").count() % pictures,
            0,
            "each case has {pictures} pictures"
        );
        assert_eq!(
            page.matches("<figure").count() / pictures,
            data.samples.len()
        );
    }
    for (_, m) in data.record.results.iter().flat_map(|r| &r.measurements) {
        assert!(page.contains(&m.definition));
    }
    for absent in &data.record.nodes[0].absent {
        assert!(page.contains(&absent.reason));
    }
    assert!(page.contains("rank 3: bus error"));
    assert!(page.contains("not supported by this processor: avx512_fp16"));
    assert!(page.contains("[FlagPerf Result]computation-FP32="));
}

#[test]
fn no_table_makes_a_narrow_page_scroll() {
    let page = html(&run(Size::SMALL));
    assert_no_table_scrolls(&page);
    assert!(page.contains("accelerator.<wbr>memory.<wbr>controller."));
    assert!(page.contains("overflow-x:auto;scrollbar-width:none"));
}

/// Checks that every table either has a place of its own to scroll in, or can be broken.
pub(crate) fn assert_no_table_scrolls(page: &str) {
    let breakable = [
        (
            "<table class=\"absent\">",
            ".absent th,.absent td{overflow-wrap:anywhere}",
        ),
        (
            "<table class=\"results\">",
            ".d1>th,.d2>th{color:var(--dim);overflow-wrap:anywhere}",
        ),
        // Of a core's name and numbers only.
        ("<table class=\"each\">", ".each{width:auto"),
    ];
    for (at, _) in page.match_indices("<table") {
        let scrolls = page[..at]
            .rsplit_once('<')
            .is_some_and(|(_, tag)| tag.starts_with("div class=\"scroll"));
        let broken = breakable
            .iter()
            .any(|(table, rule)| page[at..].starts_with(table) && page.contains(rule));
        assert!(scrolls || broken, "{}", &page[at..at + 200]);
    }
}

#[test]
fn a_page_stays_below_a_megabyte() {
    for (threads, samples_a_second) in [(8, 100), (64, 20), (256, 5)] {
        let page = html(&run(Size {
            threads,
            samples_a_second,
        }));
        assert!(
            page.len() < 1_000_000,
            "{threads} threads: {} bytes",
            page.len()
        );
    }
}
