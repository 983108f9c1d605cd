/** A module for the pool's threads that does what the task's key says. */

/** @param {{ task: { key: string } }} request */
export default async function run({ task: { key } }) {
  switch (key) {
    case 'exit':
      process.exit(3);
      break;
    case 'throw':
      throw new TypeError('thrown by the thread');
    case 'throw later':
      setImmediate(() => {
        throw new TypeError('thrown by nobody in particular');
      });
      return new Promise(() => {});
    case 'memory': {
      /** @type {string[][]} */
      const held = [];
      for (;;) held.push(Array.from({ length: 10_000 }, (_, i) => `text ${i} of ${held.length}`));
    }
    case 'fine, and dies':
      setImmediate(() => {
        throw new TypeError('thrown between tasks');
      });
      return { result: key, damaged: [] };
    case 'hang':
      return new Promise(() => {});
    default:
      return { result: key, damaged: [] };
  }
}
