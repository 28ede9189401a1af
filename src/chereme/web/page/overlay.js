// Hands as the server found them, drawn over the video: a colour for each finger.

const COLOURS = ["#ffaa32", "#78f05a", "#3cc8ff", "#af91ff", "#ff5f96"]; // thumb to little finger
const WRIST = "#f5f5f5";
const OTHER = "#b4b4b4"; // the hand that does not sign
const HALO = "#101218";

/**
 * Draw `hands` on `canvas`, which lies over `video`; none clears it. `landmarks` are 21 pairs in
 * MediaPipe's order, parts of the picture's width and height.
 */
export function drawHands(canvas, video, hands) {
  // As large as the video is shown; its own size if it is not.
  canvas.width = video.videoWidth || 1;
  canvas.height = video.videoHeight || 1;
  const paper = canvas.getContext("2d");
  paper.lineCap = "round";
  const bone = Math.max(2, Math.min(canvas.width, canvas.height) / 130);
  const inFront = [...hands].sort((a, b) => (a.signing === true) - (b.signing === true));
  for (const { landmarks, signing } of inFront) {
    const points = landmarks.map(([x, y]) => [x * canvas.width, y * canvas.height]);
    const line = (from, to, width, colour) => {
      paper.beginPath();
      paper.moveTo(...points[from]);
      paper.lineTo(...points[to]);
      paper.lineWidth = width;
      paper.strokeStyle = colour;
      paper.stroke();
    };
    for (const [colour, width] of [[HALO, 1.9 * bone], [null, bone]]) {
      for (let joint = 1; joint < 21; joint += 1) {
        const finger = Math.floor((joint - 1) / 4);
        const parent = joint % 4 === 1 ? 0 : joint - 1;
        line(parent, joint, width, colour ?? (signing === false ? OTHER : COLOURS[finger]));
      }
    }
    points.forEach(([x, y], joint) => {
      paper.beginPath();
      paper.arc(x, y, bone * (joint ? 0.55 : 0.9), 0, 2 * Math.PI);
      paper.fillStyle = WRIST;
      paper.fill();
    });
  }
}
