// Draws the OpenAPI document as a page. It knows what spin-docker's own document uses, and of that all; it sends nothing but
// the request for the document, and puts text into the page as text alone.

const METHODS = ["get", "post", "patch", "delete"];

// element("a", {href: "#x"}, "text", child, …): an element with attributes and children.
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

// A text in which `backticks` mark code.
function prose(text = "") {
  return text.split("`").map((part, index) => (index % 2 ? element("code", {}, part) : part));
}

function paragraphs(text = "") {
  return text.split("\n\n").filter(Boolean).map((part) => element("p", {}, prose(part)));
}

function table(caption, heads, rows) {
  const cells = ([first, ...rest]) =>
    element("tr", {}, element("th", { scope: "row" }, first), rest.map((cell) => element("td", {}, cell)));
  return element("div", { class: "table", tabindex: "0", role: "region", "aria-label": caption },
    element("table", {},
      element("thead", {}, element("tr", {}, heads.map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, rows.map(cells))));
}

const code = (text) => element("code", {}, text);
const sample = (text) => element("pre", { tabindex: "0" }, code(text));
const json = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

function resolve(api, item) {
  if (!item?.$ref) return item;
  return item.$ref.slice(2).split("/").reduce((place, key) => place[key], api);
}

// What a schema takes, in a few words; a link where it has a name.
function shape(schema = {}) {
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return [element("a", { href: `#schema-${name}` }, name)];
  }
  if (schema.enum) return schema.enum.flatMap((word, index) => [index ? ", " : "", code(JSON.stringify(word))]);
  const several = schema.anyOf ?? schema.oneOf;
  if (several) return several.flatMap((each, index) => [index ? " or " : "", ...shape(each)]);
  if (schema.type === "array") return ["list of ", ...shape(schema.items)];
  const bounds = [schema.format, schema.pattern && `matching ${schema.pattern}`].filter(Boolean);
  return [[].concat(schema.type ?? "anything").join(" or "), ...bounds.map((bound) => ` (${bound})`)];
}

function fields(name, schema) {
  const needed = schema.required ?? [];
  const rows = Object.entries(schema.properties ?? {}).map(([field, of]) =>
    [code(field), shape(of), needed.includes(field) ? "yes" : "no", prose(of.description)]);
  return table(name, ["Field", "Takes", "Always there", "What it is"], rows);
}

function examples(api, content) {
  const named = Object.entries(content.examples ?? {}).map(([name, example]) => [example.summary ?? name, example.value]);
  if (named.length) return named;
  const value = content.example ?? resolve(api, content.schema)?.example;
  return value === undefined ? [] : [["Example", value]];
}

function curl(path, method, operation, type, value) {
  const words = ["curl"];
  if (operation.security?.length) words.push("-u admin:PASSWORD");
  if (method !== "get") words.push(`-X ${method.toUpperCase()}`);
  if (type === "application/json") words.push("--json", `'${JSON.stringify(value)}'`);
  else if (type) for (const [field, text] of Object.entries(value)) words.push("-d", `'${field}=${text}'`);
  return [...words, location.origin + path].join(" ");
}

function parameters(operation) {
  if (!operation.parameters?.length) return null;
  const rows = operation.parameters.map((each) =>
    [code(each.name), each.in, shape(each.schema), prose(each.description ?? each.schema.description)]);
  return [element("h4", {}, "Parameters"), table("Parameters", ["Name", "In", "Takes", "What it is"], rows)];
}

function requests(api, path, method, operation) {
  const bodies = Object.entries(operation.requestBody?.content ?? {});
  if (!bodies.length) return [element("h4", {}, "Request"), sample(curl(path, method, operation))];
  return [element("h4", {}, "Request"), ...bodies.flatMap(([type, content]) => [
    element("h5", {}, code(type), " ", shape(content.schema)),
    ...examples(api, content).map(([, value]) => sample(curl(path, method, operation, type, value))),
  ])];
}

function response(api, [status, answer]) {
  const headers = Object.entries(answer.headers ?? {}).map(([name, header]) =>
    [code(name), prose(resolve(api, header).description)]);
  const contents = Object.entries(answer.content ?? {}).flatMap(([type, content]) => [
    element("h5", {}, code(type), " ", content.schema?.allOf ? shape(content.schema.allOf[0]) : shape(content.schema)),
    ...examples(api, content).flatMap(([title, value]) => [element("p", {}, prose(title)), sample(json(value))]),
  ]);
  return element("details", { class: "response" },
    element("summary", {}, code(status), " ", prose(answer.description)),
    element("div", {}, contents, headers.length ? table(`Headers of ${status}`, ["Header", "What it is"], headers) : null));
}

function operation(api, path, method, told) {
  return element("details", { class: "operation", id: told.operationId },
    element("summary", {},
      element("span", { class: `method ${method}` }, method),
      element("h3", {}, path),
      element("span", { class: "summary" }, told.summary ?? ""),
      told.security?.length ? null : element("span", { class: "open" }, "no password")),
    element("div", {}, paragraphs(told.description), parameters(told), requests(api, path, method, told),
      element("h4", {}, "Responses"), Object.entries(told.responses).map((each) => response(api, each))));
}

function everyOperation(api) {
  return Object.entries(api.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ path, method, told: item[method] })));
}

function chapters(api) {
  const all = everyOperation(api);
  return api.tags.map((tag) => ({ ...tag, operations: all.filter(({ told }) => told.tags.includes(tag.name)) }));
}

function contents(api) {
  const link = (href, ...text) => element("li", {}, element("a", { href }, ...text));
  const lists = chapters(api).map((chapter) => [
    element("h2", {}, chapter.name),
    element("ul", {}, chapter.operations.map(({ path, method, told }) =>
      link(`#${told.operationId}`, element("span", { class: `method ${method}` }, method), path))),
  ]);
  return [...lists.flat(), element("h2", {}, "reference"),
    element("ul", {}, link("#problems", "Problems"), link("#schemas", "Bodies"))];
}

function problems(api) {
  const rows = api["x-problems"].map((each) => [code(each.type), String(each.status), each.title, prose(each.description)]);
  return [element("h2", { id: "problems" }, "problems"),
    element("p", {}, prose("Every error is one of these, as `application/problem+json`.")),
    table("Problems", ["Type", "Status", "Title", "When"], rows)];
}

function schemas(api) {
  const each = ([name, schema]) => [
    element("h4", { id: `schema-${name}` }, name),
    ...paragraphs(schema.description),
    fields(name, schema.properties ? schema : schema.anyOf?.[0] ?? schema),
  ];
  return [element("h2", { id: "schemas" }, "bodies"), ...Object.entries(api.components.schemas).flatMap(each)];
}

// A link to an operation opens it.
function openLinked() {
  const linked = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (linked?.matches("details")) linked.open = true;
  linked?.scrollIntoView();
}

async function draw() {
  // Of the origin: the address of the page may hold credentials, with which no script may ask.
  const answer = await fetch(new URL("/v1/openapi.json", location.origin));
  if (!answer.ok) throw new Error(`it answered ${answer.status}`);
  const api = await answer.json();
  document.getElementById("version").textContent = api.info.version;
  document.getElementById("about").append(...prose(api.info.description));
  document.getElementById("contents").append(...contents(api));
  document.getElementById("main").replaceChildren(
    ...chapters(api).flatMap((chapter) => [
      element("h2", {}, chapter.name), element("p", {}, prose(chapter.description)),
      ...chapter.operations.map(({ path, method, told }) => operation(api, path, method, told)),
    ]),
    ...problems(api), ...schemas(api));
  document.getElementById("main").setAttribute("aria-busy", "false");
  addEventListener("hashchange", openLinked);
  openLinked();
}

draw().catch((error) => {
  document.getElementById("waiting").textContent = `The document cannot be read: ${error.message}.`;
});
