// Breaks the next picture that is encoded, when it is told to, and says so: a decoder
// finds that its first partition is longer than the whole (RFC 6386, section 9.1).
let broken = false;
const channel = new BroadcastChannel("break");
channel.onmessage = () => { broken = true; };

const copyTo = EncodedVideoChunk.prototype.copyTo;
EncodedVideoChunk.prototype.copyTo = function (to) {
  copyTo.call(this, to);
  if (!broken) return;
  broken = false;
  channel.postMessage("broken");
  to[0] |= 0xe0;
  to[1] = to[2] = 0xff;
};
