/** Pipes of the web that are seen: the language's own read where nobody can watch. */

/** As `pipeTo`, by way of the stream's reader. @param args - of `pipeTo` */
export async function pipe(stream: ReadableStream<unknown>, args: readonly unknown[]): Promise<void> {
  const [destination, options] = args as Parameters<ReadableStream<unknown>['pipeTo']>;
  const reader = stream.getReader();
  const source = new ReadableStream<unknown>(
    {
      async pull(controller) {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
  try {
    await source.pipeTo(destination, options);
  } finally {
    reader.releaseLock();
  }
}

/** @returns what comes out at the other end; null where the language refuses, which says why */
export function pipeThrough(stream: object, args: readonly unknown[]): ReadableStream<unknown> | null {
  const [transform, options] = args as Parameters<ReadableStream<unknown>['pipeThrough']>;
  if (!(stream instanceof ReadableStream) || !(transform?.writable instanceof WritableStream)) return null;
  if (stream.locked || transform.writable.locked) return null;
  // Errors go by the streams.
  pipe(stream, [transform.writable, options]).catch(() => {});
  return transform.readable;
}
