use proptest::prelude::*;

use super::*;

fn settings() -> SorryPage {
    SorryPage { path: None, errors: None, status: 503, retry_after: 30, cache_control: "no-store".to_owned() }
}

fn site() -> SorrySite {
    let files = [
        ("index.html", "<meta charset=utf-8>index"),
        ("about.html", "about"),
        ("img/logo.png", "png"),
        ("img/a b.png", "blank"),
        ("ünlü.css", "css"),
        ("100%.png", "percent"),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec())).to_vec();
    SorrySite::directory(files, &settings()).expect("a site")
}

fn get(site: &SorrySite, path: &str) -> (u16, String) {
    let response = site.answer(ErrorReason::NoServer, &Method::GET, path);
    (response.status().as_u16(), String::from_utf8_lossy(response.body()).into_owned())
}

const INDEX_PAGE: (u16, &str) = (503, "<meta charset=utf-8>index");

#[test]
fn a_directory_sends_its_files_as_themselves_and_its_index_for_the_rest() {
    let site = site();
    let cases = [
        ("/", INDEX_PAGE),
        ("/index.html", INDEX_PAGE),
        ("/shop/cart", INDEX_PAGE),
        ("*", INDEX_PAGE),
        ("", INDEX_PAGE),
        ("/about.html", (503, "about")),
        ("/img/logo.png", (200, "png")),
        ("/img/a%20b.png", (200, "blank")),
        ("/img%2Flogo.png", (200, "png")),
        ("/%c3%bcnl%C3%BC.css", (200, "css")),
        ("/ünlü.css", (200, "css")),
        ("/100%25.png", (200, "percent")),
        ("/100%.png", INDEX_PAGE),
        ("/IMG/logo.png", INDEX_PAGE),
        ("//img/logo.png", INDEX_PAGE),
        ("/img/../img/logo.png", INDEX_PAGE),
        ("/../../etc/passwd", INDEX_PAGE),
        ("/%2e%2e/%2e%2e/etc/passwd", INDEX_PAGE),
        ("/img/logo.png%00", INDEX_PAGE),
        ("/img/logo.png%", INDEX_PAGE),
        ("/img/logo.png%zz", INDEX_PAGE),
        ("/img/logo.png%+1", INDEX_PAGE),
    ];
    for (path, (status, text)) in cases {
        assert_eq!(get(&site, path), (status, text.to_owned()), "{path}");
    }
}

#[test]
fn only_who_reads_gets_a_picture() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let response = site().answer(ErrorReason::NoServer, &method, "/img/logo.png");
        assert_eq!(response.status().as_u16(), 503, "{method}");
    }
}

#[test]
fn heads_of_pages_and_pictures() {
    let page = site().answer(ErrorReason::NoServer, &Method::GET, "/");
    assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(page.headers()[CONTENT_LENGTH], "25");
    assert_eq!(page.headers()[RETRY_AFTER], "30");
    assert_eq!(page.headers()[CACHE_CONTROL], "no-store");
    assert_eq!(page.headers()[TSUJI_ERROR], "no-server");
    assert!(!page.headers().contains_key(CONNECTION));
    let picture = site().answer(ErrorReason::NoServer, &Method::GET, "/img/logo.png");
    assert_eq!(picture.headers()[CONTENT_TYPE], "image/png");
    assert_eq!(picture.headers()[CACHE_CONTROL], "no-store");
    assert!(!picture.headers().contains_key(RETRY_AFTER));
}

#[test]
fn a_head_has_the_length_and_no_body() {
    let response = site().answer(ErrorReason::NoServer, &Method::HEAD, "/img/logo.png");
    assert_eq!((response.status().as_u16(), response.body().len()), (200, 0));
    assert_eq!(response.headers()[CONTENT_LENGTH], "3");
}

#[test]
fn a_connection_too_many_is_closed_with_the_page() {
    let response = site().answer(ErrorReason::MaxConnections, &Method::GET, "/");
    assert_eq!(response.headers()[CONNECTION], "close");
}

#[test]
fn a_file_answers_every_url_with_the_status() {
    let settings = SorryPage { status: 200, retry_after: 0, cache_control: String::new(), ..settings() };
    let site = SorrySite::file("/etc/tsuji/sorry.gif", b"gif".to_vec(), &settings).expect("a site");
    for path in ["/", "/a/b", "/sorry.gif"] {
        assert_eq!(get(&site, path), (200, "gif".to_owned()), "{path}");
    }
    let response = site.answer(ErrorReason::NoServer, &Method::GET, "/");
    assert_eq!(response.headers()[CONTENT_TYPE], "image/gif");
    assert!(!response.headers().contains_key(RETRY_AFTER) && !response.headers().contains_key(CACHE_CONTROL));
}

#[test]
fn the_built_in_page_is_short_and_says_its_charset() {
    let site = SorrySite::built_in(&settings()).expect("a site");
    let response = site.answer(ErrorReason::NoServer, &Method::GET, "/x");
    assert_eq!(response.status().as_u16(), 503);
    assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    assert!(response.body().len() < 512);
}

#[test]
fn what_is_no_site() {
    let files = |paths: &[&str]| paths.iter().map(|path| ((*path).to_owned(), Vec::new())).collect::<Vec<_>>();
    let directory = |paths: &[&str]| SorrySite::directory(files(paths), &settings()).err();
    assert_eq!(directory(&[]), Some(SorrySiteError::NoIndex));
    assert_eq!(directory(&["a.png"]), Some(SorrySiteError::NoIndex));
    for path in ["../x", "/x", "a//b", "a/", "./a", "a/..", "", "a\\b", "a\0"] {
        assert_eq!(directory(&["index.html", path]), Some(SorrySiteError::Path(path.to_owned())));
    }
    let many = (0..=MAX_SORRY_FILES).map(|number| (number.to_string(), Vec::new())).collect();
    assert_eq!(SorrySite::directory(many, &settings()).err(), Some(SorrySiteError::TooManyFiles));
    let large = vec![0; MAX_SORRY_BYTES + 1];
    assert_eq!(SorrySite::file("x", large.clone(), &settings()).err(), Some(SorrySiteError::TooLarge));
    let large = vec![("index.html".to_owned(), large)];
    assert_eq!(SorrySite::directory(large, &settings()).err(), Some(SorrySiteError::TooLarge));
    for status in [0, 99, 101, 204, 304, 600] {
        let settings = SorryPage { status, ..settings() };
        assert_eq!(SorrySite::built_in(&settings).err(), Some(SorrySiteError::Status(status)));
    }
    let settings = SorryPage { cache_control: "a\r\nb".to_owned(), ..settings() };
    assert!(matches!(SorrySite::built_in(&settings), Err(SorrySiteError::CacheControl(_))));
}

proptest! {
    /// Whatever the path, the answer is one of the site's files.
    #[test]
    fn no_path_leaves_the_site(path in "/?([a-z./%\\\\]|%2e|%2f|%5c|%00|\\.\\./|img/|logo\\.png){0,12}") {
        let (status, text) = get(&site(), &path);
        prop_assert!(matches!((status, text.as_str()), (503, "<meta charset=utf-8>index" | "about") | (200, "png" | "blank" | "css" | "percent")));
    }
}
