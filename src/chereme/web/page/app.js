// The page: a camera or a file on one side, what is read of it on the other.

import { Frames, openCamera } from "./camera.js";
import { History, inMemory } from "./history.js";
import { Letters } from "./letters.js";
import { drawHands } from "./overlay.js";
import { Practice } from "./practice.js";
import { Problem, readFile, serverModels, Stream } from "./server.js";

const LOST_AFTER = 2; // seconds without a hand, after which the page says so

const byId = (id) => document.getElementById(id);
const video = byId("video");
const view = byId("view");
const letters = new Letters(byId("letters"), byId("spoken"));
const history = new History(byId("history"), byId("history-empty"), tell);
const practice = new Practice({ mirrored: () => byId("mirror").checked, words: expectedWords });

let models = [];
let session = null; // what is going on, a camera or the reading of a file: `abort`, and `ended`

function tell(message, problem = "") {
  byId("status").textContent = message;
  byId("problem").textContent = problem;
}

function expectedWords() {
  if (byId("words").disabled) return []; // the model reads no words
  return byId("words").value.split("\n").map((word) => word.trim()).filter(Boolean);
}

function chosenModel() {
  return models.find((model) => model.name === byId("model").value);
}

function show(kind) {
  video.hidden = kind === "nothing";
  video.controls = kind === "file";
  byId("welcome").hidden = !video.hidden;
  view.classList.toggle("mirrored", kind === "camera" && byId("mirror").checked);
  view.dataset.shows = kind;
  drawHands(byId("overlay"), video, []);
}

/** Do `work(signal)` as the one thing that goes on; the button then stops it. */
async function run(label, work) {
  await stop();
  const abort = new AbortController();
  letters.clear();
  byId("camera").textContent = label;
  byId("camera").classList.remove("primary");
  const ended = work(abort.signal).catch((error) => {
    if (abort.signal.aborted) tell("Stopped");
    else tell("", explain(error));
  });
  session = { abort, ended };
  await ended;
  session = null;
  byId("camera").textContent = "Start camera";
  byId("camera").classList.add("primary");
  byId("camera").disabled = false;
}

/** End what is going on, and wait until it has ended; what was read of it so far is kept. */
async function stop() {
  if (!session) return;
  byId("camera").disabled = true;
  session.abort.abort();
  await session.ended;
}

async function readCamera(signal) {
  const model = chosenModel();
  if (model?.live === false) {
    throw new Problem(`${model.name} reads whole files: open one, or choose another model.`);
  }
  tell("Asking for the camera");
  const camera = await openCamera();
  let stream = null;
  let frames = null;
  try {
    signal.throwIfAborted();
    camera.getVideoTracks()[0].addEventListener("ended", stop);
    video.removeAttribute("src");
    video.srcObject = camera;
    await video.play();
    show("camera");
    tell("Waiting for the server");
    stream = await Stream.open({ model: byId("model").value || null, words: expectedWords() });
    signal.throwIfAborted();
    frames = new Frames(video, stream.limits, (jpeg, seconds) => stream.send(jpeg, seconds));
    signal.addEventListener("abort", () => {
      frames.stop();
      stream.finish();
    });
    // A phone was turned; the pictures of one stream have one size.
    video.addEventListener("resize", () => run("Stop", readCamera), { signal });
    practice.start(stream.alphabet);
    tell("Show a hand, and spell");
    await follow(stream, frames);
    tell("The camera is off");
  } finally {
    frames?.stop();
    stream?.close();
    practice.stop();
    camera.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
    byId("pace").textContent = "";
    show("nothing");
  }
}

/** Show the events of a stream until it ends. */
async function follow(stream, frames) {
  const finals = [];
  let entry = null;
  let seen = 0; // seconds at which a hand was last in view
  const signed = () => finals.flatMap((final) => final.tokens);
  for await (const event of stream.events()) {
    if (event.type === "frame") {
      frames.taken(event.timestamp);
      drawHands(byId("overlay"), video, event.hands);
      if (event.hands.length) seen = event.timestamp;
      const lost = event.timestamp - seen > LOST_AFTER;
      byId("pace").textContent = `${frames.rate()} pictures a second`;
      tell(lost ? "No hand in view" : "Reading");
      practice.frame(event);
    } else if (event.type === "partial") {
      letters.partial(event);
      practice.read([...signed(), ...event.tokens]);
    } else if (event.type === "final") {
      letters.final(event);
      if (!event.text) continue;
      finals.push(event);
      entry ??= history.add("Camera");
      entry.update(inMemory(stream.unit, finals));
      practice.read(signed());
    } else if (event.type === "end") {
      entry?.update(event.transcript);
    }
  }
}

async function openFile(file, signal) {
  URL.revokeObjectURL(video.src || video.poster);
  video.removeAttribute("src");
  video.removeAttribute("poster");
  // A picture is no video, but may stand in its place; landmarks show nothing.
  video[file.type.startsWith("image/") ? "poster" : "src"] = URL.createObjectURL(file);
  show("file");
  tell(`Reading ${file.name}`);
  const options = { model: byId("model").value, words: expectedWords(), signal };
  const transcript = await readFile(file, options);
  letters.final(transcript);
  history.add(file.name).update(transcript);
  tell([`${file.name}: ${transcript.text || "nothing read"}`, ...transcript.warnings].join(". "));
}

function explain(error) {
  const causes = {
    NotAllowedError: "The browser was not allowed to use the camera: allow it beside the address.",
    NotFoundError: "There is no camera here. A file can be read all the same.",
    NotReadableError: "The camera is in use by another program: close that, and start again.",
  };
  if (error instanceof Problem) return error.message;
  return causes[error.name] ?? `Something went wrong: ${error.message}`;
}

// --- wiring ------------------------------------------------------------------------------------

byId("camera").addEventListener("click", () => (session ? stop() : run("Stop", readCamera)));
byId("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  target.value = ""; // so the same file can be opened again
  if (file) run("Cancel", (signal) => openFile(file, signal));
});
video.addEventListener("error", () => {
  if (video.getAttribute("src")) show("nothing"); // a format that this browser does not play
});
byId("mirror").addEventListener("change", () => {
  view.classList.toggle("mirrored", view.dataset.shows === "camera" && byId("mirror").checked);
  practice.draw();
});
byId("hands").addEventListener("change", ({ target }) => {
  byId("overlay").hidden = !target.checked;
});
video.addEventListener("timeupdate", () => {
  if (!video.srcObject) letters.mark(video.currentTime);
});

const tabs = [byId("tab-read"), byId("tab-practise")];
function select(tab) {
  for (const one of tabs) {
    const chosen = one === tab;
    one.setAttribute("aria-selected", chosen);
    one.tabIndex = chosen ? 0 : -1;
    byId(one.getAttribute("aria-controls")).hidden = !chosen;
  }
  document.body.classList.toggle("practising", tab.id === "tab-practise");
  practice.shown(tab.id === "tab-practise");
}
for (const [index, tab] of tabs.entries()) {
  tab.addEventListener("click", () => select(tab));
  tab.addEventListener("keydown", ({ key }) => {
    if (key !== "ArrowLeft" && key !== "ArrowRight") return;
    const other = tabs[1 - index];
    select(other);
    other.focus();
  });
}

for (const letter of "hello") byId("welcome").append(practice.drawing(letter));

byId("model").addEventListener("change", () => {
  byId("words").disabled = !chosenModel().options.includes("words");
});

try {
  models = await serverModels();
  byId("model").append(...models.map(({ name }) => new Option(name, name)));
  byId("model-field").hidden = models.length < 2;
  byId("model").dispatchEvent(new Event("change"));
} catch (error) {
  tell("", explain(error));
}
