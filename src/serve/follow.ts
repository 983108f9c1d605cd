/** Following the experiments of a folder within this thread: what `crucible watch` and reports read. */
import type { Follower } from './follower.js';
import type { Descriptor } from './protocol.js';
import { Shelf } from './shelf.js';
import { Followers } from './sources.js';

export interface FollowedFolder {
  /** Looks at the folder, unless that was done just now. @returns null where there is no such experiment */
  describe(id: string): Promise<Descriptor | null>;
  /** Opened when it is first asked for. @throws NotFoundError, StorageError */
  follower(id: string): Follower;
  close(): void;
}

export function followFolder(dir: string): FollowedFolder {
  const shelf = new Shelf(dir);
  const followers = new Followers(shelf);
  const open = new Map<string, Follower>();
  return {
    async describe(id) {
      await shelf.look();
      return shelf.get(id)?.descriptor ?? null;
    },
    follower(id) {
      const follower = open.get(id) ?? followers.take(id);
      open.set(id, follower);
      return follower;
    },
    close() {
      for (const id of open.keys()) followers.leave(id);
      open.clear();
    },
  };
}
