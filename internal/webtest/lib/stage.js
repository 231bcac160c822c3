// The stage: a Go program with a server, pages, a network, and users in Go.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const here = fileURLToPath(new URL("..", import.meta.url));
export const repository = fileURLToPath(new URL("../../..", import.meta.url));

export class Stage {
  /** @type {Map<number, {resolve: (answer: any) => void, reject: (error: Error) => void, what: string}>} */
  #waiting = new Map();
  #n = 0;
  page = "";

  /** @param {import("node:child_process").ChildProcess} program */
  constructor(program) {
    this.program = program;
    createInterface({ input: /** @type {any} */ (program.stdout) }).on("line", (line) => {
      const answer = JSON.parse(line);
      const w = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if (answer.error) w?.reject(new Error(`${w.what}: ${answer.error}`));
      else w?.resolve(answer);
    });
    program.on("exit", (code) => {
      for (const w of this.#waiting.values()) w.reject(new Error(`the stage ended with ${code}`));
    });
  }

  /**
   * Starts a stage; EARSHOT_STAGE is the program.
   * @param {Record<string, any>} [options] those of its "start"
   */
  static async start(options = {}) {
    const path = process.env.EARSHOT_STAGE;
    if (!path) throw new Error("EARSHOT_STAGE is not set: run `make test-web`, or build ./internal/webtest/stage and set it");
    const stage = new Stage(spawn(path, { stdio: ["pipe", "pipe", "inherit"] }));
    Object.assign(stage, await stage.ask("start", { pages: here + "pages", repository, ...options }));
    return stage;
  }

  /**
   * @param {string} what
   * @param {Record<string, any>} [details]
   * @returns {Promise<any>}
   */
  ask(what, details = {}) {
    return new Promise((resolve, reject) => {
      const id = ++this.#n;
      this.#waiting.set(id, { resolve, reject, what });
      this.program.stdin?.write(JSON.stringify({ id, do: what, ...details }) + "\n");
    });
  }

  async stop() {
    const ended = once(this.program, "exit");
    this.program.stdin?.end();
    await ended;
  }
}
