// The letters as they come, each with its probability; spoken once they will not change.

const UNSURE = 0.6; // probability below which a letter is marked
const TAKEN_BACK = 2; // letters at the end of a partial text that the next may still change
const SHOWN = 20; // words that stay in view; the history has them all
const SPOKEN = 100; // letters that a screen reader can go back to

export class Letters {
  #list;
  #spoken;
  #words = []; // lists of final tokens
  #said = []; // texts of the letters that were spoken since the last final ones

  /** `list` shows them, word by word; `spoken` is a live region for screen readers. */
  constructor(list, spoken) {
    this.#list = list;
    this.#spoken = spoken;
  }

  clear() {
    this.#words = [];
    this.#said = [];
    this.#spoken.replaceChildren();
    this.#show([]);
  }

  /** What seems to follow the final letters; takes the place of what seemed so before. */
  partial({ text, tokens }) {
    this.#say(tokens.slice(0, -TAKEN_BACK));
    this.#show(wordsOf(text, tokens));
  }

  /** What follows the final letters, and will not change. */
  final({ text, tokens }) {
    if (this.#said.some((letter, index) => letter !== tokens[index]?.text)) {
      this.#speak("corrected:");
      this.#said = [];
    }
    this.#say(tokens);
    this.#said = [];
    this.#words = [...this.#words, ...wordsOf(text, tokens)].slice(-SHOWN);
    this.#show([]);
  }

  /** Mark what is signed at so many seconds of a file. */
  mark(seconds) {
    const elements = this.#list.querySelectorAll(".token");
    this.#words.flat().forEach(({ start, end }, index) => {
      elements[index].classList.toggle("now", start <= seconds && seconds < end);
    });
  }

  #say(tokens) {
    for (const { text } of tokens.slice(this.#said.length)) {
      this.#speak(text);
      this.#said.push(text);
    }
    while (this.#spoken.children.length > SPOKEN) this.#spoken.firstChild.remove();
  }

  #speak(text) {
    const part = document.createElement("span");
    part.textContent = `${text} `;
    this.#spoken.append(part);
  }

  #show(partial) {
    const words = [
      ...this.#words.map((tokens) => word(tokens, true)),
      ...partial.map((tokens) => word(tokens, false)),
    ];
    // Those that stay as they are keep their elements, so that only new letters move.
    renew(this.#list, words, (old, fresh) => renew(old, [...fresh.children]));
    this.#list.parentElement.scrollTop = this.#list.parentElement.scrollHeight;
  }
}

/** Make the children of `parent` equal to `fresh`, each by `change(old, fresh)` or in its place. */
function renew(parent, fresh, change) {
  const old = [...parent.children];
  fresh.forEach((one, index) => {
    const before = old[index];
    if (!before) parent.append(one);
    else if (before.isEqualNode(one)) return;
    else if (change && before.className === one.className) change(before, one);
    else before.replaceWith(one);
  });
  old.slice(fresh.length).forEach((one) => one.remove());
}

/** The tokens of each word of `text`. */
function wordsOf(text, tokens) {
  const words = [];
  let end = 0;
  for (const token of tokens) {
    const start = text.indexOf(token.text, end);
    if (!words.length || start > end) words.push([]);
    words.at(-1).push(token);
    end = start + token.text.length;
  }
  return words;
}

function word(tokens, isFinal) {
  const element = document.createElement("li");
  element.className = isFinal ? "final" : "partial";
  element.append(...tokens.map(letterOf));
  return element;
}

function letterOf({ text, probability }) {
  const percent = Math.round(100 * probability);
  const element = document.createElement("span");
  element.className = probability < UNSURE ? "token unsure" : "token";
  const letter = document.createElement("span");
  letter.className = "letter";
  letter.textContent = text;
  const sure = document.createElement("span");
  sure.className = "sure";
  sure.append(document.createElement("span"));
  sure.firstChild.style.width = `${percent}%`;
  const number = document.createElement("span");
  number.className = "percent";
  number.textContent = `${percent} %`;
  element.append(letter, sure, number);
  return element;
}
