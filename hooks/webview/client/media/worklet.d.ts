// What an AudioWorkletGlobalScope has that lib.dom.d.ts lacks.
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
  constructor(options?: unknown);
}
declare function registerProcessor(name: string, processor: unknown): void;
declare const currentTime: number;
declare const currentFrame: number;
declare const sampleRate: number;
