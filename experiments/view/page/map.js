// The maze from above: cells, goal, agents with their trails, and the imagined tree of one decision. Units are cells.

const SVG = "http://www.w3.org/2000/svg";
const ARROW = "M0.36 0L-0.26 0.3L-0.14 0L-0.26 -0.3Z";

function draw(parent, name, attributes = {}) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "colour") element.style.setProperty("--colour", value); // the page's policy forbids style attributes
    else element.setAttribute(key, value);
  }
  parent.append(element);
  return element;
}

/** Where cosine lies between "unlike" and "like", from 0 to 1. */
const strength = (cosine) => Math.min(1, Math.max(0, cosine));

export class MazeMap {
  constructor(holder, layout, { onCell, onNode }) {
    this.layout = layout;
    this.onNode = onNode;
    this.height = layout.rows.length;
    this.width = layout.rows[0].length;
    this.svg = draw(holder, "svg", { viewBox: `0 0 ${this.width} ${this.height}`, role: "img", "aria-labelledby": "map-says" });
    this.says = draw(this.svg, "title", { id: "map-says" });
    const cells = draw(this.svg, "g", { class: "cells" });
    layout.rows.forEach((row, y) => [...row].forEach((mark, x) => {
      if (mark !== "#") draw(cells, "rect", { x: x + 0.02, y: y + 0.02, width: 0.96, height: 0.96, fill: layout.colours[y][x], "data-cell": `${x},${y}` });
    }));
    for (const name of ["trails", "tree", "goal", "walkers"]) this[name] = draw(this.svg, "g");
    this.goal.setAttribute("pointer-events", "none");
    this.walkers.setAttribute("pointer-events", "none");
    this.trails.setAttribute("pointer-events", "none");
    this.svg.addEventListener("click", (event) => {
      const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
      onCell(Math.floor(place.x), Math.floor(place.y), event.shiftKey);
    });
  }

  showGoal([x, y]) {
    this.goal.replaceChildren();
    const mark = draw(this.goal, "g", { class: "goal-mark", transform: `translate(${x + 0.5} ${y + 0.5})` });
    for (const [r, fill] of [[0.46, "#1d2126"], [0.4, "#fff"], [0.29, "#d0342c"], [0.13, "#fff"]]) draw(mark, "circle", { r, fill });
  }

  /** Agents: {colour, poses, shown}; the shown one is drawn last. */
  showWalkers(agents) {
    this.trails.replaceChildren();
    this.walkers.replaceChildren();
    agents.forEach(({ name, colour, poses, shown }, index) => {
      const side = (index - (agents.length - 1) / 2) * 0.07;
      const group = draw(this.trails, "g", { class: "mine", colour });
      const points = poses.map(([x, y]) => `${x + 0.5 + side},${y + 0.5 + side}`).join(" ");
      draw(group, "polyline", { class: "trail", points, "stroke-width": shown ? 0.12 : 0.06 });
      const [x, y, heading] = poses.at(-1);
      const walker = draw(this.walkers, "g", { class: "mine", colour, transform: `translate(${x + 0.5} ${y + 0.5}) rotate(${90 * heading}) scale(${shown ? 1.5 : 0.8})`, "data-walker": name });
      draw(walker, "path", { class: "walker", d: ARROW, "stroke-width": 0.07 });
    });
  }

  clearTree() { this.tree.replaceChildren(); this.trace = null; }

  /** The imagined tree of a decision; `past` where the agent has moved on since. */
  showTree({ parent, cosine, curves, trajectory }, colour, past) {
    this.clearTree();
    const chosen = new Set(trajectory);
    const group = draw(this.tree, "g", { class: `mine${past ? " past" : ""}`, colour });
    const lines = draw(group, "g"), way = draw(group, "g"), dots = draw(group, "g");
    const curve = (node) => {
      const [from, corner, to] = curves[node];
      return `M${from}Q${corner} ${to}`;
    };
    this.curve = curve;
    const order = cosine.map((_, node) => node).sort((a, b) => cosine[a] - cosine[b]);
    for (const node of order) {
      const fit = strength(cosine[node]);
      draw(lines, "path", { class: "jump", d: curve(node), "stroke-width": 0.03 + 0.13 * fit, opacity: 0.12 + 0.8 * fit, "data-node": node, "data-parent": parent[node], "data-cosine": cosine[node] });
    }
    for (const node of trajectory) draw(way, "path", { class: "jump casing", d: curve(node), "stroke-width": 0.34 });
    for (const node of trajectory) draw(way, "path", { class: "jump chosen", d: curve(node), "stroke-width": 0.2 });
    for (const node of order) {
      const fit = strength(cosine[node]), mine = chosen.has(node);
      const [cx, cy] = curves[node][2];
      draw(dots, "circle", { class: `node${mine ? " chosen" : ""}`, cx, cy, r: mine ? 0.22 : 0.07 + 0.08 * fit, opacity: mine ? 1 : 0.3 + 0.7 * fit, "stroke-width": 0.08 });
      const hit = draw(dots, "circle", { class: "hit", cx, cy, r: 0.28, "data-hit": node });
      hit.addEventListener("pointerenter", () => this.onNode(node));
      hit.addEventListener("pointerleave", () => this.onNode(null));
    }
    this.trace = draw(group, "g", { "pointer-events": "none" });
    this.parent = parent;
  }

  /** Highlights the way to a node. */
  traceNode(node) {
    this.trace?.replaceChildren();
    for (let at = node; at !== null && at >= 0; at = this.parent[at]) draw(this.trace, "path", { class: "jump traced", d: this.curve(at), "stroke-width": 0.12 });
  }
}
