// What was read since the page was opened, to copy and to download.

import { Problem, rendered } from "./server.js";

const FORMATS = ["txt", "srt", "json", "eaf"];

/** What a stream has given so far, as a transcript. */
export function inMemory(unit, finals) {
  const text = finals.map((final) => final.text).filter(Boolean).join(" ");
  return { unit, text, tokens: finals.flatMap((final) => final.tokens) };
}

export class History {
  #list;
  #empty;
  #tell;

  /** `tell(status, problem)` says what became of a copy or a download. */
  constructor(list, empty, tell) {
    this.#list = list;
    this.#empty = empty;
    this.#tell = tell;
  }

  /** A new entry at the top; `update(transcript)` puts into it what was read. */
  add(source) {
    const now = new Date();
    let transcript = null;
    const element = document.createElement("li");
    const text = document.createElement("p");
    text.className = "text";
    const origin = document.createElement("p");
    origin.className = "quiet";
    const clock = now.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    origin.textContent = `${source}, ${clock}`;
    const buttons = document.createElement("p");
    buttons.className = "row";
    const copy = button("Copy", `Copy the text of ${source}`, async () => {
      if (!navigator.clipboard) {
        throw new Problem("Browsers let only pages of this machine or of https copy: mark the text.");
      }
      await navigator.clipboard.writeText(transcript.text);
      this.#tell("Copied");
    });
    const name = source.replace(/\.[^.]*$/, "").toLowerCase();
    const downloads = FORMATS.map((format) =>
      button(format, `Download ${source} as ${format}`, async () => {
        download(await rendered(transcript, format), `${name}.${format}`);
        this.#tell(`Saved as ${name}.${format}`);
      }),
    );
    const act = (one) => one.addEventListener("click", async () => {
      try {
        await one.act();
      } catch (error) {
        this.#tell("", error.message);
      }
    });
    [copy, ...downloads].forEach(act);
    buttons.append(copy, ...downloads);
    element.append(text, origin, buttons);
    this.#list.prepend(element);
    this.#empty.hidden = true;
    return {
      update: (read) => {
        transcript = read;
        text.textContent = read.text || "Nothing was read";
      },
    };
  }
}

function button(text, label, act) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "small";
  element.textContent = text;
  element.setAttribute("aria-label", label);
  element.act = act;
  return element;
}

function download(text, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000); // some browsers fetch it later
}
