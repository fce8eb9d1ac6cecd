// The page's state and its controls. The server keeps nothing: an episode and the actions so far say everything.

import { MazeMap } from "/page/map.js";
import { $, make, showDecision, showDriving, showFrames, showNode, showPlanner, status } from "/page/panel.js";
import { connection, Refused } from "/page/server.js";

const YOU = "you";
const RATES = [1, 2, 4, 8, 16];

let setup, map, episode;
let agents = {}; // by name: what setup says of it, with actions, moments (one more than actions) and error
let shown, playing = null, generation = 0, queue = Promise.resolve();

const ask = connection(
  () => { pause(); banner("The server does not answer. Start `jumpy view` again with the same --port; the page goes on by itself."); },
  () => banner(),
);

function banner(text) {
  $("banner").hidden = !text;
  $("banner").textContent = text ?? "";
}

let bannerTimer;
function notice(text) {
  banner(text);
  clearTimeout(bannerTimer);
  bannerTimer = setTimeout(banner, 5000);
}

/** One thing after the other, so that quick keys are not lost and answers come in order. */
function inTurn(work) {
  document.body.ariaBusy = "true";
  const mine = queue = queue.then(work).catch((error) => {
    pause();
    if (!(error instanceof Refused)) throw error;
    notice(error.message);
  }).finally(() => { if (mine === queue) document.body.ariaBusy = "false"; });
  return mine;
}

// ---------------------------------------------------------------- an episode

async function begin(wanted) {
  const found = await ask("episode", wanted);
  generation += 1;
  episode = found;
  $("seed").value = found.seed;
  $("crop").src = found.crop;
  map.showGoal(found.goal);
  for (const agent of Object.values(agents)) Object.assign(agent, { actions: [], moments: [], error: null });
  pause();
  await look(shown, []);
  await Promise.all(others().map((agent) => look(agent.name, [])));
}

/** Asks for the moment of an agent after some actions, and shows it. */
async function look(name, actions) {
  const agent = agents[name], mine = generation;
  const body = { episode: { seed: episode.seed, start: episode.start, goal: episode.goal }, agent: name, actions };
  if (agent.planner) body.planner = agent.planner;
  if (name === YOU) body.model = $("model").value || undefined;
  try {
    const moment = await ask("moment", body);
    if (mine !== generation) return;
    agent.moments[actions.length] = moment;
    agent.moments.length = actions.length + 1;
    agent.actions = actions;
    agent.error = null;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    agent.error = error.message;
    if (name === shown || error.status !== 410) notice(error.message);
  }
  refresh(name);
}

const others = () => Object.values(agents).filter((agent) => agent.name !== shown);
const now = (agent) => agent.moments.at(-1);
const canStep = (agent) => agent.name !== YOU && now(agent)?.decision != null;

async function stepOne(agent) {
  if (agent.error) await look(agent.name, agent.actions);
  else if (canStep(agent)) await look(agent.name, [...agent.actions, now(agent).decision.action]);
}

async function step() {
  await stepOne(agents[shown]);
  await Promise.all(others().map(stepOne));
  if (!Object.values(agents).some((agent) => canStep(agent) && !agent.error)) pause();
}

async function jump() {
  do await step(); while (canStep(agents[shown]) && !agents[shown].error && !now(agents[shown]).decision.choice);
}

function back() {
  for (const agent of Object.values(agents)) if (agent.actions.length && agent.name !== YOU) {
    agent.actions = agent.actions.slice(0, -1);
    agent.moments.length = agent.actions.length + 1;
  }
  if (shown === YOU && agents[YOU].actions.length) {
    agents[YOU].actions = agents[YOU].actions.slice(0, -1);
    agents[YOU].moments.length = agents[YOU].actions.length + 1;
  }
  refreshAll();
}

function pause() {
  if (playing) clearTimeout(playing);
  playing = null;
  $("play").textContent = "Play";
}

function play() {
  if (playing) return pause();
  $("play").textContent = "Pause";
  const tick = async () => {
    const began = performance.now();
    await inTurn(step);
    if (playing) playing = setTimeout(tick, Math.max(0, 1000 / RATES[$("speed").value] - (performance.now() - began)));
  };
  playing = setTimeout(tick, 0);
}

const restart = () => begin({ seed: episode.seed, start: episode.start, goal: episode.goal });
const another = () => begin({ seed: 100000 + Math.floor(Math.random() * 900000) });
const setGoal = (cell) => begin({ seed: episode.seed, start: shown === YOU || now(agents[shown])?.done ? episode.start : now(agents[shown]).poses.at(-1), goal: cell });
const setAgent = (cell) => begin({ seed: episode.seed, cell, goal: episode.goal });

function drive(action) {
  const agent = agents[YOU], moment = now(agent);
  if (moment && !moment.done && moment.mask[action]) return look(YOU, [...agent.actions, action]);
}

// ---------------------------------------------------------------- what is seen of it

/** The last decision with a choice, and whether the agent has moved on since. */
function lastDecision(agent) {
  for (let t = agent.moments.length - 1; t >= 0; t--) {
    const decision = agent.moments[t].decision;
    if (decision?.choice) return { decision, past: t < agent.moments.length - 1 };
  }
  return { decision: null, past: false };
}

function point(node) {
  map.traceNode(node);
  showNode(lastDecision(agents[shown]).decision, node, setup.actions);
}

function refreshAll() { for (const name of Object.keys(agents)) refresh(name); }

function refresh(name) {
  const agent = agents[name];
  card(agent);
  map.showWalkers(Object.values(agents).filter((each) => now(each) && (each.name !== YOU || shown === YOU)).map((each) => ({ name: each.name, colour: each.colour, poses: now(each).poses, shown: each.name === shown })).sort((a, b) => a.shown - b.shown));
  if (name !== shown) return;
  const moment = now(agent), driving = shown === YOU;
  $("imagines").hidden = driving;
  $("drives").hidden = !driving;
  $("who").textContent = driving ? "What you" : agent.display;
  document.querySelector("#who").nextSibling.textContent = driving ? " see" : " sees";
  for (const id of ["step", "jump"]) $(id).disabled = driving;
  if (!moment) return;
  showFrames(moment);
  $("status").textContent = status(moment, agent.actions.length);
  const { decision, past } = lastDecision(agent);
  if (decision?.parent) map.showTree(decision, agent.colour, past);
  else map.clearTree();
  showDecision(decision, setup.actions, past, point);
  point(null);
  if (driving) showDriving(moment, moment.mask);
  map.says.textContent = `The maze ${setup.layout.name}. ${agent.display} is at x ${moment.poses.at(-1)[0]}, y ${moment.poses.at(-1)[1]}; the goal at x ${episode.goal[0]}, y ${episode.goal[1]}.`;
  document.body.dataset.ready = `${shown} ${agent.actions.length}`;
}

function card(agent) {
  const moment = now(agent), taken = agent.actions.length, element = agent.card;
  const [name, state, detail] = ["b", ".state", ".detail"].map((query) => element.querySelector(query));
  element.setAttribute("aria-pressed", agent.name === shown);
  name.textContent = agent.display;
  if (moment) element.querySelector("img").src = moment.frames.at(-1);
  state.className = `state${agent.error ? " error" : ""}`;
  state.textContent = agent.error ? "run cannot be read" : !moment ? "…" : `reward ${moment.reward}`;
  detail.textContent = !moment ? "" : moment.success ? `${taken} steps, shortest ${episode.shortest}` : moment.done ? "out of steps" : `step ${taken}`;
  element.title = agent.error ?? agent.run ?? "";
}

function select(name) {
  shown = name;
  const agent = agents[name];
  showPlanner(agent.planner, setup.planners, (planner) => inTurn(async () => {
    const before = agent.planner;
    agent.planner = planner;
    await look(name, agent.actions);
    if (agent.error) { agent.planner = before; await look(name, agent.actions); }
    select(name);
  }));
  refreshAll();
}

// ---------------------------------------------------------------- the page

function makeCards() {
  for (const agent of [...setup.agents, { name: YOU, display: "you", colour: "#8a8f98", planner: null, trained: false }]) {
    const element = make("button", { className: "card" }, [make("b"), make("img", { alt: "", width: 28, height: 28 }), make("span", { className: "state" }), make("span", { className: "detail" })]);
    element.style.setProperty("--colour", agent.colour);
    element.dataset.agent = agent.name;
    element.onclick = () => select(agent.name);
    agents[agent.name] = { ...agent, actions: [], moments: [], error: null, card: element };
    $("cards").append(element);
  }
  const models = setup.agents.filter((agent) => agent.trained);
  $("model").replaceChildren(...models.map(({ name, display }) => make("option", { value: name, textContent: display })));
  $("model").onchange = () => inTurn(() => look(YOU, agents[YOU].actions));
}

function cellClicked(x, y, shift) {
  const row = setup.layout.rows[y];
  if (!row || row[x] === undefined || row[x] === "#") return notice(`x ${x}, y ${y} is a wall: choose a free cell.`);
  const agent = shift || document.querySelector("input[name=click]:checked").value === "cell";
  inTurn(() => agent ? setAgent([x, y]) : setGoal([x, y]));
}

function theme() {
  const dark = document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.documentElement.dataset.theme = dark === "dark" ? "light" : "dark";
  try { localStorage.setItem("theme", document.documentElement.dataset.theme); } catch { /* not kept, then */ }
}

function speed(change) {
  $("speed").value = Number($("speed").value) + change;
  $("rate").textContent = `${RATES[$("speed").value]}/s`;
}

const KEYS = {
  " ": play, j: () => inTurn(jump), r: () => inTurn(restart), n: () => inTurn(another), t: theme, "+": () => speed(1), "-": () => speed(-1),
  ArrowRight: () => inTurn(() => shown === YOU ? drive(2) : step()),
  ArrowLeft: () => inTurn(() => shown === YOU ? drive(1) : back()),
  ArrowUp: () => shown === YOU && inTurn(() => drive(0)),
};

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  if (event.key === " " && event.target.matches("button, summary")) return;
  const agent = Object.keys(agents)[Number(event.key) - 1];
  const act = event.key !== " " && agent ? () => select(agent) : KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || (event.key === "ArrowUp" && shown !== YOU)) return;
  event.preventDefault();
  act();
}

function legend() {
  $("legend").innerHTML = '<svg width="74" height="12" aria-hidden="true"><path d="M2 6h18" stroke="currentColor" stroke-width="1" opacity=".3"/><path d="M27 6h18" stroke="currentColor" stroke-width="3" opacity=".6"/><path d="M52 6h18" stroke="currentColor" stroke-width="5"/></svg> imagined jumps: thicker where the cosine with the goal is larger; outlined: the chosen trajectory';
}

async function start() {
  try { const kept = localStorage.getItem("theme"); if (kept) document.documentElement.dataset.theme = kept; } catch { /* the system's, then */ }
  setup = await ask("setup");
  const { layout } = setup;
  map = new MazeMap($("map"), layout, { onCell: cellClicked, onNode: point });
  $("about").textContent = `Maze: ${layout.name}. An episode earns the steps that are left of ${layout.life_steps} when it reaches the goal.`;
  makeCards();
  legend();
  $("play").onclick = play;
  $("step").onclick = () => inTurn(step);
  $("jump").onclick = () => inTurn(jump);
  $("back").onclick = () => inTurn(back);
  $("restart").onclick = () => inTurn(restart);
  $("new").onclick = () => inTurn(another);
  $("theme").onclick = theme;
  $("speed").oninput = () => speed(0);
  $("seed").onchange = () => inTurn(() => begin({ seed: Number($("seed").value) }));
  $("planner").onsubmit = (event) => event.preventDefault();
  $("cell").onsubmit = (event) => { event.preventDefault(); cellClicked(Number($("x").value), Number($("y").value), false); };
  for (const button of document.querySelectorAll(".ahead button")) button.onclick = () => inTurn(() => drive(Number(button.dataset.action)));
  addEventListener("keydown", keys);
  shown = Object.keys(agents)[0];
  await inTurn(() => begin({ seed: 100000 }));
  select(shown);
  if (!now(agents[shown])?.decision?.choice) await inTurn(jump); // so that there is something to see
}

start();
