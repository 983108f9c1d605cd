/** What the process ends with. Interrupted it ends as shells count: see `InterruptedError`. */

export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
export const EXIT_UNDECIDED = 3;
