// Bounded concurrency: runs at most a given number of jobs at a time, in order of arrival.

export class Queue {
  #limit;
  #running = 0;
  #waiting = [];

  constructor(limit) {
    this.#limit = limit;
  }

  /** Runs an asynchronous job when there is room. It must handle its own errors. */
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
