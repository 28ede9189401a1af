// Practice: a word to spell, compared letter by letter with what is read.

const WORDS = (
  "ada bay cat deaf echo fish garden hello ink jazz kite lamp moon nest ocean park quiet " +
  "river sun tea uncle voice window xylophone yarn zebra amir boston chloe diego emma felix " +
  "grace hugo ines jonas kofi lena miguel nora omar paula rosa sven tomas vera yusuf zoe"
).split(" ");
const STUCK = 5; // seconds at a letter, after which its handshape is shown
const PAUSE = 4; // seconds after a word before the next: the hands are free
const DRAWINGS = new URL("handshapes.svg", import.meta.url).pathname;

/**
 * What of `word` was spelled: its letters, each with the token that gave it (or null) and what was
 * read in its place before; `at` is the letter that comes next.
 */
export function compare(word, tokens) {
  const letters = [...word].map((letter) => ({ letter, token: null, instead: null }));
  let at = 0;
  for (const token of tokens) {
    if (at === letters.length) break;
    if (token.text === letters[at].letter) letters[at++].token = token;
    else letters[at].instead = token.text;
  }
  return { letters, at };
}

/** Letters a minute, from the beginning of the first to the end of the last; null for one. */
export function speed(letters) {
  const seconds = letters.at(-1).token.end - letters[0].token.start;
  return letters.length > 1 && seconds > 0 ? Math.round((60 * letters.length) / seconds) : null;
}

const byId = (id) => document.getElementById(id);

export class Practice {
  #word = "";
  #alphabet = null;
  #mirrored;
  #words;
  #isShown = false;
  #live = false;
  #asked = false; // whether the user wants to see handshapes
  #left = false; // whether the left hand signs
  #now = 0; // seconds of the stream
  #from = 0; // when this word began
  #since = 0; // when the letter that comes next came up
  #at = 0;
  #finished = null; // when the word was done
  #before = []; // words that came up

  constructor({ mirrored, words }) {
    this.#mirrored = mirrored;
    this.#words = words;
    byId("next").addEventListener("click", () => this.another());
    byId("again").addEventListener("click", () => this.#begin(this.#word));
    byId("show").addEventListener("click", () => {
      this.#asked = !this.#asked;
      this.draw();
    });
    byId("own").addEventListener("submit", (event) => {
      event.preventDefault();
      const word = this.#spelled(byId("own-word").value);
      if (word) this.#begin(word);
      else byId("feedback").textContent = "Give a word in letters that can be spelled.";
    });
  }

  /** The panel came into view, or left it. */
  shown(isShown) {
    this.#isShown = isShown;
    if (isShown && !this.#word) this.another();
    else if (isShown) this.#begin(this.#word);
  }

  /** A stream begins, of a model with this alphabet (null: it reads no letters). */
  start(alphabet) {
    this.#live = true;
    this.#now = 0;
    this.#alphabet = alphabet ?? [];
    if (this.#isShown) this.#begin(this.#word);
  }

  stop() {
    this.#live = false;
    this.draw();
  }

  /** Another frame was read. */
  frame({ timestamp, hands }) {
    this.#now = timestamp;
    const signing = hands.find((hand) => hand.signing !== false);
    if (signing && signing.handedness !== "unknown") this.#left = signing.handedness === "left";
    if (!this.#isShown) return;
    if (this.#finished !== null && this.#now - this.#finished > PAUSE) this.another();
    else this.draw();
  }

  /** All that the stream has read so far. */
  read(tokens) {
    if (!this.#isShown || this.#finished !== null || !this.#word) return;
    const { letters, at } = compare(this.#word, tokens.filter(({ start }) => start >= this.#from));
    if (at !== this.#at) this.#since = this.#now;
    this.#at = at;
    this.#show(letters);
    if (at === letters.length) this.#done(letters);
    else this.#tell(letters);
    this.draw();
  }

  another() {
    const own = this.#words().map((word) => this.#spelled(word)).filter(Boolean);
    const known = own.length ? own : WORDS;
    const fresh = known.filter((word) => !this.#before.includes(word));
    if (!fresh.length) this.#before = [];
    const choice = fresh.length ? fresh : known;
    this.#begin(choice[Math.floor(Math.random() * choice.length)]);
  }

  /** Show the handshape of the letter that comes next, if it is wanted. */
  draw() {
    byId("show").setAttribute("aria-pressed", this.#asked);
    const letter = this.#word[this.#at];
    const stuck = this.#live && this.#now - this.#since > STUCK;
    const wanted = this.#finished === null && letter !== undefined && (this.#asked || stuck);
    byId("handshape").hidden = !wanted;
    if (!wanted) return;
    const drawing = byId("handshape").querySelector("svg");
    const address = `${DRAWINGS}#${letter}`;
    if (drawing.firstElementChild.getAttribute("href") !== address) {
      drawing.firstElementChild.setAttribute("href", address);
    }
    // The table's hands are right ones, seen from the front.
    drawing.classList.toggle("flipped", this.#mirrored() !== this.#left);
    const moves = "jz".includes(letter) ? ", along the arrow" : "";
    const side = this.#mirrored() ? "as a mirror shows it" : "as others see it";
    byId("handshape-caption").textContent = `${letter.toUpperCase()}, ${side}${moves}.`;
  }

  /** An `<svg>` of a letter's handshape. */
  drawing(letter) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 240 270");
    const use = document.createElementNS(svg.namespaceURI, "use");
    use.setAttribute("href", `${DRAWINGS}#${letter}`);
    svg.append(use);
    return svg;
  }

  #spelled(word) {
    const plain = word.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "");
    const alphabet = this.#alphabet?.length ? this.#alphabet : [..."abcdefghijklmnopqrstuvwxyz"];
    return [...plain].filter((letter) => alphabet.includes(letter)).join("");
  }

  #begin(word) {
    this.#word = word;
    this.#before.push(word);
    this.#from = this.#since = this.#now;
    this.#at = 0;
    this.#finished = null;
    this.#show(compare(word, []).letters);
    const spells = this.#alphabet === null || this.#alphabet.length > 0;
    byId("feedback").textContent = !spells
      ? "This model reads no letters: choose another one under Read."
      : this.#live ? "Go" : "Start the camera, then spell.";
    this.draw();
  }

  #show(letters) {
    const items = letters.map(({ letter, token, instead }, index) => {
      const element = document.createElement("li");
      const state = token ? "done" : index === this.#at ? "next" : "ahead";
      element.className = state;
      element.append(letter);
      const note = document.createElement("span");
      note.className = "note";
      note.textContent = token ? "✓" : state === "next" && instead ? `not ${instead}` : "";
      element.append(note);
      const said = { done: "spelled", next: "next", ahead: "to come" }[state];
      const unseen = document.createElement("span");
      unseen.className = "unseen";
      unseen.textContent = `, ${said}`;
      element.append(unseen);
      return element;
    });
    byId("target").replaceChildren(...items);
  }

  #tell(letters) {
    const { letter, instead } = letters[this.#at];
    const wanted = `Next: ${letter.toUpperCase()}`;
    byId("feedback").textContent = instead
      ? `That was read as ${instead.toUpperCase()}. ${wanted}` : wanted;
  }

  #done(letters) {
    this.#finished = this.#now;
    const pace = speed(letters);
    const result = pace === null ? this.#word : `${this.#word}, ${pace} letters a minute`;
    byId("feedback").textContent = `Well spelled: ${result}`;
    const entry = document.createElement("li");
    entry.textContent = result;
    byId("done").prepend(entry);
    byId("done-title").hidden = false;
  }
}
