// Bounded concurrency: at most so many jobs at a time, in the order in which they came.

export class Queue {
  #limit;
  #running = 0;
  #waiting = [];

  constructor(limit) {
    this.#limit = limit;
  }

  /** Runs an asynchronous job when there is room. Its errors are its own to handle. */
  add(job) {
    this.#waiting.push(job);
    this.#next();
  }

  #next() {
    while (this.#running < this.#limit && this.#waiting.length > 0) {
      const job = this.#waiting.shift();
      this.#running += 1;
      Promise.resolve(job()).finally(() => {
        this.#running -= 1;
        this.#next();
      });
    }
  }
}
