// What the page asks of the server that it came from, and nothing of any other.

const LAST_WORDS = 20; // seconds that the server has to read the rest
const LOST = "The connection to the server was lost. Start again when it is there.";
const REFUSED = "The server takes no stream: it is busy, or has stopped. Try again in a moment.";

/** A failure that the user can be told as it is. */
export class Problem extends Error {}

// The token stands behind the # of the address, which browsers do not send.
const token = new URLSearchParams(location.hash.slice(1)).get("token");

/** The answer of the server, or a Problem that says why there is none. */
async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  if (answer.status === 401) {
    throw new Problem("The server wants its token: open the address that it printed at its start.");
  }
  const wait = answer.headers.get("Retry-After");
  const said = await answer.json().then((body) => body.detail, () => answer.statusText);
  throw new Problem(wait ? `${said} Try again in ${wait} seconds.` : said);
}

/** The models that the server has, the default first. */
export async function serverModels() {
  return (await ask("/v1/models")).json();
}

/** The transcript of a whole file. */
export async function readFile(file, { model, words, signal }) {
  const form = new FormData();
  form.append("file", file);
  if (model) form.append("model", model);
  if (words.length) form.append("words", words.join("\n"));
  return (await ask("/v1/recognize", { method: "POST", body: form, signal })).json();
}

/** A transcript as a text of another format. */
export async function rendered(transcript, format) {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify(transcript);
  const path = `/v1/transcripts?format=${encodeURIComponent(format)}`;
  return (await ask(path, { method: "POST", headers, body })).text();
}

/** A stream of frames to the server, and of events from it. */
export class Stream {
  #socket;
  #waiting = []; // events that nobody has taken yet
  #wake = () => {};
  #ready = false;
  #end = null; // a Problem, if the server closed the socket for one

  /** Resolves when the server is ready for frames. */
  static async open({ model, words }) {
    const stream = new Stream();
    stream.#socket.addEventListener("open", () => {
      const start = { type: "start", model, words: words.length ? words : null };
      stream.#socket.send(JSON.stringify(start));
    });
    const { value: ready } = await stream.events().next();
    stream.#ready = true;
    return Object.assign(stream, { unit: ready.unit, alphabet: ready.alphabet, limits: ready.limits });
  }

  constructor() {
    const address = new URL("/v1/stream", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    address.hash = "";
    const protocols = ["chereme.stream", ...(token ? [`bearer.${token}`] : [])];
    this.#socket = new WebSocket(address, protocols);
    this.#socket.addEventListener("message", ({ data }) => {
      this.#waiting.push(JSON.parse(data));
      this.#wake();
    });
    this.#socket.addEventListener("close", ({ code, reason }) => {
      if (code !== 1000) this.#end = new Problem(this.#ready ? reason || LOST : REFUSED);
      this.#socket = null;
      this.#wake();
    });
  }

  /** Every event until the socket closes; throws a Problem if the server ends it with one. */
  async *events() {
    while (true) {
      while (this.#waiting.length) {
        const event = this.#waiting.shift();
        if (event.type === "error") throw new Problem(event.detail);
        yield event;
      }
      if (!this.#socket) {
        if (this.#end) throw this.#end;
        return;
      }
      await new Promise((resolve) => (this.#wake = resolve));
    }
  }

  /** Send a picture: the bytes of a JPEG, shown at so many seconds. */
  send(jpeg, seconds) {
    const message = new Uint8Array(8 + jpeg.byteLength);
    new DataView(message.buffer).setFloat64(0, seconds, true);
    message.set(new Uint8Array(jpeg), 8);
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(message);
  }

  /** Say that there are no more frames; the last events and the end follow. */
  finish() {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send('{"type": "finish"}');
    setTimeout(() => this.close(), 1000 * LAST_WORDS);
  }

  close() {
    this.#socket?.close();
  }
}
