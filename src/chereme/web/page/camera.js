// A camera, and its pictures at the pace at which the server takes them.

import { Problem } from "./server.js";

const LONGEST_SIDE = 640; // pixels of what is sent: as much as the hand networks make use of
const QUALITY = 0.85; // of the JPEG
const ON_THE_WAY = 2; // pictures that the server has not answered yet; newer ones are not sent
const MEAN_OVER = 2; // seconds, of the rate that is shown

export async function openCamera() {
  if (!navigator.mediaDevices) {
    throw new Problem(
      "Browsers give a camera only to pages of this machine (localhost) or of https. " +
        "A file can be read all the same.",
    );
  }
  return navigator.mediaDevices.getUserMedia({
    audio: false,
    video: { facingMode: "user", width: { ideal: 640 }, height: { ideal: 480 }, frameRate: 30 },
  });
}

/** Calls `send(jpeg, seconds)` with the pictures of a playing video, never mirrored. */
export class Frames {
  #canvas = document.createElement("canvas");
  #sent = []; // seconds of the pictures on the way
  #running = true;
  #answers = []; // seconds of the last ones

  constructor(video, { fps = 30 }, send) {
    let last = -Infinity;
    let start = null;
    const next = async (now) => {
      if (!this.#running) return;
      start ??= now;
      const seconds = (now - start) / 1000;
      // A quarter of a step early is in time: cameras are not that regular.
      if (this.#sent.length < ON_THE_WAY && seconds - last > 0.75 / fps) {
        last = seconds;
        this.#sent.push(seconds);
        const jpeg = await this.#jpeg(video);
        if (this.#running) send(await jpeg.arrayBuffer(), seconds);
      }
      if (this.#running) video.requestVideoFrameCallback(next);
    };
    video.requestVideoFrameCallback(next);
  }

  #jpeg(video) {
    const { videoWidth: width, videoHeight: height } = video;
    const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
    this.#canvas.width = Math.round(scale * width);
    this.#canvas.height = Math.round(scale * height);
    const paper = this.#canvas.getContext("2d");
    paper.drawImage(video, 0, 0, this.#canvas.width, this.#canvas.height);
    return new Promise((resolve) => this.#canvas.toBlob(resolve, "image/jpeg", QUALITY));
  }

  /** The server has read the picture of so many seconds; it reads none of those before. */
  taken(seconds) {
    this.#sent = this.#sent.filter((one) => one > seconds);
    this.#answers.push(performance.now() / 1000);
    while (this.#answers.at(-1) - this.#answers[0] > MEAN_OVER) this.#answers.shift();
  }

  /** Pictures that were read a second. */
  rate() {
    const seconds = this.#answers.at(-1) - this.#answers[0];
    return seconds > 0 ? Math.round((this.#answers.length - 1) / seconds) : 0;
  }

  stop() {
    this.#running = false;
  }
}
