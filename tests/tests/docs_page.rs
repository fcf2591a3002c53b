//! `/docs` in a browser: its script runs, draws all of the OpenAPI document, and asks nobody else for anything.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tests::{Browser, Daemon, text, until};

/// What the page shows of each operation that is open, as a reader sees it: what is folded away has no text.
const SHOWN: &str = "return [...document.querySelectorAll('details.operation')].map((each) => ({
    id: each.id, method: each.querySelector('.method').innerText.toLowerCase(), path: each.querySelector('h3').innerText,
    text: each.innerText, samples: [...each.querySelectorAll('pre')].map((sample) => sample.innerText).filter(Boolean),
    cells: [...each.querySelectorAll('tbody th')].map((cell) => cell.innerText).filter(Boolean),
}))";

fn open(daemon: &Daemon, place: &str) -> Browser {
    let browser = Browser::start();
    let address = daemon.base.replace("http://", "http://admin:spindocker@");
    browser.open(&format!("{address}/docs{place}"));
    until("the page is drawn", Duration::from_secs(20), || {
        let drawn = "return document.getElementById('main').getAttribute('aria-busy') === 'false'";
        (browser.run(drawn) == true).then_some(())
    });
    browser
}

/// Of the document: each operation with its path and its method.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let operations = item.as_object().unwrap().iter().filter(|(_, each)| each["operationId"].is_string());
        let named = operations.map(|(method, each)| (path.clone(), method.clone(), each.clone()));
        named.collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// Every member of these that has a `content`: its examples, one by one, and those of its schema where it has none.
fn examples<'a>(document: &'a Value, content: &'a Value) -> Vec<&'a Value> {
    let of_type = |content: &'a Value| {
        let named = content["examples"].as_object().into_iter().flat_map(|named| named.values());
        let named: Vec<_> = named.map(|each| &each["value"]).chain(content.get("example")).collect();
        let schema = content["schema"]["$ref"].as_str().and_then(|at| document.pointer(&at[1..]));
        if named.is_empty() {
            schema.and_then(|schema| schema.get("example")).into_iter().collect()
        } else {
            named
        }
    };
    content.as_object().into_iter().flat_map(|types| types.values()).flat_map(of_type).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// What one operation shows, once it is open, with all of its answers.
fn shows_all_of(shown: &Value, document: &Value, told: &Value) {
    let id = text(told, "operationId");
    let cells: BTreeSet<_> = list(&shown["cells"]).map(|cell| cell.as_str().unwrap()).collect();
    let samples: Vec<_> = list(&shown["samples"]).map(|sample| sample.as_str().unwrap()).collect();
    for parameter in list(&told["parameters"]) {
        assert!(cells.contains(text(parameter, "name")), "{id}: {parameter} in {cells:?}");
    }
    for example in examples(document, &told["requestBody"]["content"]) {
        let words =
            example.as_object().unwrap().iter().map(|(name, value)| format!("'{name}={}'", plain(value)));
        let form: Vec<_> = words.collect();
        let is_shown = |sample: &&&str| {
            sample.contains(&example.to_string()) || form.iter().all(|word| sample.contains(word))
        };
        assert!(samples.iter().any(|sample| is_shown(&sample)), "{id}: {example} in {samples:?}");
    }
    for (status, answer) in told["responses"].as_object().unwrap() {
        assert!(text(shown, "text").contains(&format!("{status} ")), "{id}: {status}");
        for example in examples(document, &answer["content"]) {
            let is_shown = |sample: &&str| match example {
                Value::String(words) => sample.trim_end() == words.trim_end(),
                value => serde_json::from_str::<Value>(sample).is_ok_and(|shown| shown == *value),
            };
            assert!(samples.iter().copied().any(|sample| is_shown(&sample)), "{id} {status}: {example}");
        }
        for name in answer["headers"].as_object().unwrap().keys() {
            assert!(cells.contains(name.as_str()), "{id} {status}: {name} in {cells:?}");
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[test]
fn the_page_draws_every_operation_and_asks_nobody_else() {
    let daemon = Daemon::start(&[]);
    let document = daemon.client.get("/v1/openapi.json").json();
    let browser = open(&daemon, "");
    let closed = browser.run(SHOWN);
    let folded = |each: &Value| list(&each["samples"]).count() == 0 && list(&each["cells"]).count() == 0;
    assert!(list(&closed).all(folded), "at first only their heads are seen: {closed}");
    let names = |each: &Value| json!([each["id"], each["method"], each["path"]]).to_string();
    let drawn: BTreeSet<_> = list(&closed).map(names).collect();
    let told = operations(&document);
    let all = told.iter().map(|(path, method, each)| json!([each["operationId"], method, path]).to_string());
    assert_eq!(drawn, all.collect(), "each of the document's, and no other");
    assert_eq!(list(&closed).count(), told.len());

    let links = browser
        .run("return [...document.querySelectorAll('nav a')].map((each) => each.getAttribute('href'))");
    for (_, _, each) in &told {
        let link = format!("#{}", text(each, "operationId"));
        assert!(list(&links).any(|each| *each == link), "{link} in {links}");
    }
    let asked: Vec<_> =
        browser.asked_for().into_iter().map(|url| url.replace("admin:spindocker@", "")).collect();
    assert!(asked.iter().any(|url| url.ends_with("/v1/openapi.json")), "{asked:?}");
    let elsewhere =
        |url: &&String| !url.starts_with(&format!("{}/", daemon.base)) && !url.starts_with("data:");
    assert_eq!(asked.iter().find(elsewhere), None, "{asked:?}");
    assert_eq!(browser.console(), [] as [Value; 0], "the console is silent");
}

#[test]
fn an_operation_that_is_opened_shows_its_fields_and_its_examples() {
    let daemon = Daemon::start(&[]);
    let document = daemon.client.get("/v1/openapi.json").json();
    let browser = open(&daemon, "");
    for (_, _, told) in operations(&document) {
        let id = text(&told, "operationId");
        browser.click(&format!("#{id} > summary"));
        browser.run(&format!(
            "document.querySelectorAll('#{id} .response > summary').forEach((each) => each.click())"
        ));
        let shown = browser.run(SHOWN);
        let shown = list(&shown).find(|each| each["id"] == id).unwrap();
        shows_all_of(shown, &document, &told);
        browser.click(&format!("#{id} > summary"));
    }
    assert_eq!(browser.console(), [] as [Value; 0], "the console is silent");
}

#[test]
fn the_bodies_and_problems_stand_on_it_and_a_link_opens_what_it_names() {
    let daemon = Daemon::start(&[]);
    let document = daemon.client.get("/v1/openapi.json").json();
    let browser = open(&daemon, "#create_container");
    let opened = "return [...document.querySelectorAll('details.operation[open]')].map((each) => each.id)";
    assert_eq!(browser.run(opened), json!(["create_container"]));
    let page = browser.run("return document.getElementById('main').innerText");
    let page = page.as_str().unwrap();
    for problem in list(&document["x-problems"]) {
        assert!(page.contains(text(problem, "type")), "{problem}");
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let rows = format!(
            "return [...document.getElementById('schema-{name}').parentNode.querySelectorAll(
                '#schema-{name} ~ .table')][0].querySelectorAll('tbody tr').length"
        );
        let fields =
            schema["properties"].as_object().or_else(|| schema["anyOf"][0]["properties"].as_object());
        assert_eq!(browser.run(&rows), fields.unwrap().len(), "the fields of {name}");
    }
    assert_eq!(browser.console(), [] as [Value; 0], "the console is silent");
}
