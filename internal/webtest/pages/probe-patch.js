const channel = new BroadcastChannel("probe");
const now = () => performance.timeOrigin + performance.now();
const read = new OffscreenCanvas(240, 20).getContext("2d", { alpha: false, willReadFrequently: true });

/** The number in a picture of 320x240. */
function number(image) {
  draw.call(read, image, 0, 0, 320, 240);
  const p = read.getImageData(0, 0, 240, 20).data;
  let n = 0;
  for (let bit = 0; bit < 12; bit++) if (p[4 * (10 * 240 + bit * 20 + 10)] > 127) n |= 1 << bit;
  return n;
}

const draw = OffscreenCanvasRenderingContext2D.prototype.drawImage;
OffscreenCanvasRenderingContext2D.prototype.drawImage = function (image, ...rest) {
  draw.call(this, image, ...rest);
  if (!(image instanceof VideoFrame)) return;
  const at = now();
  channel.postMessage(["drawn", number(image), at]);
};

const encode = VideoEncoder.prototype.encode;
VideoEncoder.prototype.encode = function (frame, ...rest) {
  const at = now();
  channel.postMessage(["encoded", number(frame), at]);
  return encode.call(this, frame, ...rest);
};
