// @ts-check
/** Runs a script of this folder, with a task, to its end. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/**
 * @param {string} script
 * @param {object} task
 * @param {readonly string[]} [nodeArguments]
 * @returns {Promise<any>} what it says, which is JSON
 */
export async function runChild(script, task, nodeArguments = []) {
  const path = new URL(script, import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...nodeArguments, path, JSON.stringify(task)],
    {
      maxBuffer: 2 ** 26,
    },
  );
  return JSON.parse(stdout);
}
