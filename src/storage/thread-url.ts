/** Where a thread's module of this folder is; tests run the sources, of which a thread needs the compiled form. */
export function threadUrl(name: string): URL {
  const isSource = import.meta.url.endsWith('.ts');
  const folder = isSource ? '../../dist/src/storage' : '.';
  return new URL(`${folder}/${name}.worker.js`, import.meta.url);
}
