// The framing of RTP over QUIC (PROTOCOL.md section 6): flow identifiers,
// bundles, and packets on streams. Everything read here is hostile: the readers
// are total and never look beyond their bytes.

import { readVarint, varint, varintSize, writeVarint } from "../net/varint.js";

/** RTCP about all tracks goes on this flow. */
export const RTCP_FLOW = 63;
/** The most bytes of an RTP packet. */
export const MAX_PACKET = 1150;
/** The most bytes of a datagram that is a bundle. */
export const MAX_BUNDLE = 1151;

/**
 * Gives each packet of a datagram, which may be a bundle, to `each`. Of a bundle
 * that is malformed the items before the fault count.
 * @param {Uint8Array} b
 * @param {(flow: number, packet: Uint8Array) => void} each
 */
export function readDatagram(b, each) {
  if (!readVarint(b, 0)) return;
  let flow = varint.value;
  let at = varint.next;
  if (flow !== 0) {
    if (at < b.length) each(flow, b.subarray(at));
    return;
  }
  while (at < b.length) {
    if (!readVarint(b, at)) return;
    at = varint.next;
    const end = at + varint.value;
    if (end > b.length || !readVarint(b, at, end)) return;
    flow = varint.value;
    const from = varint.next;
    if (flow === 0 || from === end) return;
    each(flow, b.subarray(from, end));
    at = end;
  }
}

/**
 * Collects packets for one datagram. What does not fit with the others goes by
 * itself.
 */
export class Outbox {
  /**
   * @param {(datagram: Uint8Array) => void} send is given bytes that are its own
   * @param {() => boolean} bundles whether the peer takes bundles
   */
  constructor(send, bundles) {
    this.send = send;
    this.bundles = bundles;
    this.buf = new Uint8Array(MAX_BUNDLE);
    this.length = 0; // of the bundle that is being made
    this.items = 0;
    this.firstAt = 0;
  }

  /**
   * Takes a packet, of which it keeps a copy; flush sends it.
   * @param {number} flow
   * @param {Uint8Array} b
   * @param {number} [length] of the packet at the beginning of b
   */
  add(flow, b, length = b.length) {
    const item = varintSize(flow) + length;
    const need = varintSize(item) + item;
    if (!this.bundles() || need + 1 > MAX_BUNDLE) {
      this.flush();
      const out = new Uint8Array(item);
      out.set(length === b.length ? b : b.subarray(0, length), writeVarint(out, 0, flow));
      this.send(out);
      return;
    }
    if (this.items > 0 && this.length + need > MAX_BUNDLE) this.flush();
    if (this.items === 0) this.length = writeVarint(this.buf, 0, 0);
    let at = writeVarint(this.buf, this.length, item);
    if (this.items === 0) this.firstAt = at;
    at = writeVarint(this.buf, at, flow);
    this.buf.set(length === b.length ? b : b.subarray(0, length), at);
    this.length = at + length;
    this.items++;
  }

  /** Sends what was collected. */
  flush() {
    if (this.items === 0) return;
    // A bundle of one is that one.
    const out = this.buf.slice(this.items === 1 ? this.firstAt : 0, this.length);
    this.items = 0;
    this.length = 0;
    this.send(out);
  }
}

/**
 * Reads the packets of an incoming stream: its flow identifier, then packets,
 * each behind its length. A stream of ours holds no packet above MAX_STREAM_PACKET.
 */
export class StreamReader {
  /** @param {(flow: number, packet: Uint8Array) => void} each */
  constructor(each) {
    this.each = each;
    this.buf = new Uint8Array(2 * MAX_STREAM_PACKET);
    this.length = 0;
    this.flow = -1;
  }

  /**
   * Takes the next bytes; reports false when the stream is malformed, and is then
   * to be given up.
   * @param {Uint8Array} chunk
   */
  push(chunk) {
    while (chunk.length > 0) {
      const n = Math.min(chunk.length, this.buf.length - this.length);
      this.buf.set(chunk.subarray(0, n), this.length);
      this.length += n;
      chunk = chunk.subarray(n);
      if (!this.drain()) return false;
    }
    return true;
  }

  drain() {
    let at = 0;
    for (;;) {
      if (!readVarint(this.buf, at, this.length)) {
        if (this.length - at >= 8) return false;
        break;
      }
      const { value, next } = varint;
      if (this.flow < 0) {
        if (value === 0) return false;
        this.flow = value;
        at = next;
        continue;
      }
      if (value === 0 || value > MAX_STREAM_PACKET) return false;
      if (next + value > this.length) break;
      this.each(this.flow, this.buf.subarray(next, next + value));
      at = next + value;
    }
    this.buf.copyWithin(0, at, this.length);
    this.length -= at;
    return true;
  }
}

/** The most bytes of a packet on a stream that are taken. */
export const MAX_STREAM_PACKET = 1 << 16;
