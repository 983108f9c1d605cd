import { defineCommand } from '../command.js';
import { UsageError } from '../errors.js';
import { openDir } from '../folder.js';

export const serve = defineCommand({
  name: 'serve',
  summary: 'serve a live page that shows the experiments of a folder',
  usage: '[DIR] [options]',
  details: [
    'Follows experiments that other processes capture meanwhile, and changes nothing. Without DIR, the folder that --dir or CRUCIBLE_DIR names.',
    'Only this machine reaches the page, unless --host names another address: then whoever opens it has to show a token. Say it by CRUCIBLE_TOKEN, which other users of this machine do not see, and open the page with ?token=… at its end.',
    'Ctrl-C ends it.',
  ],
  json: ['{ url, dir } as soon as it listens'],
  positionals: { min: 0, max: 1 },
  options: {
    port: {
      type: 'integer',
      min: 0,
      max: 65_535,
      description: 'port to listen on; 0: any (default: 4747, or any if that is taken)',
    },
    host: { type: 'string', value: 'ADDRESS', default: '127.0.0.1', description: 'address to listen on' },
  },
  async run(context) {
    const { options, positionals, print, printJson, signal, env, style } = context;
    const { dir } = await openDir(context, 'serve', positionals[0]);
    const { host, port } = options;
    const token = env.CRUCIBLE_TOKEN || undefined;
    const isLocal = host === 'localhost' || host === '::1' || host.startsWith('127.');
    if (!isLocal && token === undefined) {
      throw new UsageError(
        `--host ${host} lets other machines read this: set CRUCIBLE_TOKEN to a secret of 16 or more characters`,
        'serve',
      );
    }
    const library = await context.loadLibrary();
    const crucible = library.open(dir);
    try {
      const { url } = await crucible.serve({
        dir,
        host,
        ...(port !== undefined && { port }),
        ...(token !== undefined && { token }),
      });
      if (options.json) printJson({ url, dir });
      else {
        print(
          `${style.bold(url)}${token === undefined ? '' : '?token=…'}`,
          style.dim(`  shows ${dir} · Ctrl-C ends it`),
        );
      }
      await interrupted(signal);
    } finally {
      await crucible.close();
    }
  },
});

/** Until then the process is kept alive: the server alone does not. */
function interrupted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setInterval(() => {}, 2 ** 30);
    const end = () => {
      clearInterval(timer);
      resolve();
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}
