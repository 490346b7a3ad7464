// Shows /openapi.json without a library, so that it works under the page's Content-Security-Policy.

const byId = (id) => document.getElementById(id);

function element(name, text, children = []) {
  const node = document.createElement(name);
  if (text) node.textContent = text;
  node.append(...children);
  return node;
}

/** The schema that a reference points to. */
function resolve(root, schema) {
  const path = schema?.$ref;
  if (!path) return schema;
  return path.slice(2).split("/").reduce((node, key) => node?.[key], root);
}

/** A short description of a schema's type. */
function typeOf(root, schema) {
  const found = resolve(root, schema) ?? {};
  if (found.enum) return found.enum.join(" | ");
  const choices = found.oneOf ?? found.anyOf;
  if (choices) return choices.map((choice) => typeOf(root, choice)).join(" or ");
  if (found.type === "array") return `list of ${typeOf(root, found.items)}`;
  const types = [found.type].flat().filter(Boolean);
  return types.join(" or ") || "any";
}

/** The properties of an object, including those of its parts. */
function properties(root, schema) {
  const found = resolve(root, schema) ?? {};
  const parts = (found.allOf ?? []).flatMap((part) => properties(root, part));
  return [...Object.entries(found.properties ?? {}), ...parts];
}

function table(headings, rows) {
  const head = element("tr", "", headings.map((heading) => {
    const cell = element("th", heading);
    cell.scope = "col";
    return cell;
  }));
  const body = rows.map((cells) =>
    element("tr", "", cells.map((cell, index) =>
      element("td", "", [index === 0 ? element("code", cell) : cell]))));
  return element("table", "", [element("thead", "", [head]), element("tbody", "", body)]);
}

/** The fields of a body, including those of nested objects. */
function fields(root, schema, prefix = "", depth = 0) {
  return properties(root, schema).flatMap(([name, property]) => {
    const path = prefix ? `${prefix}.${name}` : name;
    const found = resolve(root, property) ?? {};
    const text = property.description ?? found.description ?? "";
    const row = [path, typeOf(root, property), text];
    if (depth > 4) return [row];
    const item = found.type === "array" ? found.items : property;
    const inner = fields(root, item, found.type === "array" ? `${path}[]` : path, depth + 1);
    return [row, ...inner];
  });
}

function operation(root, path, method, found) {
  const nodes = [element("h3", `${method.toUpperCase()} ${path}`)];
  if (found.summary) nodes.push(element("p", found.summary));
  if (found.description) nodes.push(element("p", found.description));
  if (found.parameters?.length) {
    nodes.push(element("h4", "Parameters"));
    nodes.push(table(["name", "type", "meaning"], found.parameters.map((parameter) =>
      [parameter.name, typeOf(root, parameter.schema), parameter.description ?? ""])));
  }
  if (found.requestBody) {
    nodes.push(element("h4", "Body"));
    if (found.requestBody.description) nodes.push(element("p", found.requestBody.description));
    for (const [kind, content] of Object.entries(found.requestBody.content)) {
      const rows = fields(root, content.schema);
      nodes.push(element("p", "", [element("code", kind)]));
      if (rows.length) nodes.push(table(["key", "type", "meaning"], rows));
    }
  }
  nodes.push(element("h4", "Responses"));
  nodes.push(table(["status", "meaning"], Object.entries(found.responses).map(([status, response]) =>
    [status, response.description])));
  for (const [status, response] of Object.entries(found.responses)) {
    if (!status.startsWith("2")) continue;
    for (const content of Object.values(response.content ?? {})) {
      const rows = fields(root, content.schema);
      if (rows.length) nodes.push(element("h4", `Body of ${status}`), table(["key", "type", "meaning"], rows));
    }
  }
  return element("section", "", nodes);
}

async function show() {
  const main = byId("operations");
  try {
    const response = await fetch("/openapi.json");
    if (!response.ok) throw new Error(`status ${response.status}`);
    const root = await response.json();
    byId("about").textContent = root.info.description ?? "";
    const nodes = (root.tags ?? []).flatMap((tag) => {
      const sections = Object.entries(root.paths).flatMap(([path, methods]) =>
        Object.entries(methods)
          .filter(([, found]) => found.tags?.includes(tag.name))
          .map(([method, found]) => operation(root, path, method, found)));
      return [element("h2", tag.name), element("p", tag.description ?? ""), ...sections];
    });
    main.replaceChildren(...nodes);
  } catch (error) {
    main.replaceChildren(element("p", `The OpenAPI document could not be loaded: ${error.message}`));
  }
}

show();
