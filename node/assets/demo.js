// The demo's map. It asks for the state twice a second and draws what changed; a link is cut and healed by a click.
"use strict";

const PLACES = {
  "000000": [480, 60], "370000": [250, 210], "510000": [720, 210], "370100": [130, 360], "370200": [370, 360],
  "510100": [610, 360], "510700": [840, 360], "370100-01": [130, 500],
};
const STATES = {
  "equal": ["已核对一致", "proved equal"], "talking": ["同步中", "talking"], "down": ["中断", "down"],
  "stick-equal": ["U 盘往返，一致", "by stick: equal"], "stick-apart": ["U 盘在路上", "by stick: on its way"],
  "stick-home": ["U 盘停送", "by stick: at home"],
};
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

function make(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function html(name, attributes, ...children) {
  const element = document.createElement(name);
  Object.assign(element, attributes);
  element.append(...children);
  return element;
}

const english = (text) => html("span", { lang: "en" }, ` ${text}`);
const isCut = (link) => link.state === "down" || link.state === "stick-home";

async function send(path) {
  const answer = await fetch(path, { method: "POST", headers: { "x-demo": "1" } });
  const said = await answer.json().catch(() => ({}));
  if (said.error) byId("said").textContent = said.error;
  await look();
  return said;
}

const toggle = (link) => send(`/${isCut(link) ? "heal" : "cut"}?a=${link.a}&b=${link.b}`);

function drawMap(state) {
  const map = byId("map");
  map.replaceChildren();
  for (const link of state.links) {
    const [from, to] = [PLACES[link.a], PLACES[link.b]];
    const path = `M${from[0]} ${from[1]} L${to[0]} ${to[1]}`;
    const hit = make("path", { class: "hit", d: path }, make("title", {}, `${link.a} – ${link.b}: ${STATES[link.state].join(" ")}`));
    hit.addEventListener("click", () => toggle(link));
    map.append(make("path", { class: `link ${link.state}`, d: path }), hit);
    const owed = link.outbox[0] + link.outbox[1];
    if (owed > 0) {
      const middle = { x: (from[0] + to[0]) / 2 + 22, y: (from[1] + to[1]) / 2, class: "owed" };
      map.append(make("text", middle, `${owed}`));
    }
  }
  for (const node of state.nodes) {
    const [x, y] = PLACES[node.node];
    const box = make("rect", { class: "box", x: x - 84, y: y - 34, width: 168, height: 68, rx: 6 });
    const link = make("a", { href: node.desk, target: "_blank", rel: "noopener", "aria-label": `${node.node} ${node.name} 工作台 desk` },
      box,
      make("text", { x, y: y - 12 }, `${node.node}`),
      make("text", { x, y: y + 7, class: "small" }, node.name),
      make("text", { x, y: y + 25, class: "small" }, `工单 ${node.documents} · 承办 ${node.custody}`));
    map.append(link);
  }
}

// Rows stay the same elements, so that a button that has the focus keeps it.
function drawRows(body, rows, key, row, update) {
  for (const item of rows) {
    let line = body.querySelector(`[data-key="${key(item)}"]`);
    if (!line) {
      line = row(item);
      line.dataset.key = key(item);
      body.append(line);
    }
    update(line, item);
  }
}

let links = new Map();

function drawTables(state) {
  links = new Map(state.links.map((link) => [`${link.a}_${link.b}`, link]));
  drawRows(byId("links"), state.links, (link) => `${link.a}_${link.b}`, (link) => {
    const button = html("button", { type: "button" });
    button.addEventListener("click", () => toggle(links.get(`${link.a}_${link.b}`)));
    return html("tr", {}, html("td", {}, `${link.a} – ${link.b}`), html("td", {}), html("td", { className: "n" }), html("td", {}, button));
  }, (line, link) => {
    const [zh, en] = STATES[link.state];
    line.children[1].replaceChildren(zh, english(en));
    line.children[2].textContent = `${link.outbox[0]} / ${link.outbox[1]}`;
    const button = line.querySelector("button");
    const words = isCut(link) ? ["恢复", "heal"] : ["切断", "cut"];
    button.replaceChildren(words[0], english(words[1]));
    button.setAttribute("aria-label", `${words[0]} ${link.a} – ${link.b}`);
  });
  drawRows(byId("nodes"), state.nodes, (node) => node.node, (node) => {
    const button = html("button", { type: "button" }, "来一通电话", english("a call comes in"));
    button.addEventListener("click", async () => {
      const made = await send(`/call?node=${node.node}`);
      if (made.id) {
        const desk = html("a", { href: `${node.desk}ticket/${made.id}`, target: "_blank", rel: "noopener" }, made.number);
        byId("said").replaceChildren(`${node.name}：`, desk);
      }
    });
    const desk = html("a", { href: node.desk, target: "_blank", rel: "noopener" }, "工作台", english("desk"));
    return html("tr", {}, html("td", {}, `${node.node} ${node.name}`), html("td", { className: "n" }), html("td", { className: "n" }), html("td", {}, desk, "　", button));
  }, (line, node) => {
    line.children[1].textContent = node.documents;
    line.children[2].textContent = node.custody;
  });
}

async function look() {
  try {
    const state = await (await fetch("/state")).json();
    drawMap(state);
    drawTables(state);
    byId("account").replaceChildren("每个节点的工作台账号 ", english("Account of every desk"), " ",
      html("code", {}, state.account.name), " ", html("code", {}, state.account.password));
  } catch {
    byId("said").replaceChildren("演示已停止。", english("The demo has ended."));
  }
}

async function follow() {
  await look();
  setTimeout(follow, 500);
}

follow();
