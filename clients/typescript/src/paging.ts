import type { CallOptions } from "@connectrpc/connect";

const PAGE_SIZE = 100; // the largest there is

interface ListRequest {
  limit?: number | undefined;
  page?: number | undefined;
  pageToken?: string | undefined;
}

interface Page {
  data?: { pagination?: { nextPageToken?: string | undefined } | undefined } | undefined;
}

/** Every page from the one `walk` asks for, each fetched when it is wanted; `walk` is changed on the way. */
export async function* pages<Request extends ListRequest, Reply extends Page>(
  call: (request: Request, options?: CallOptions) => Promise<Reply>,
  walk: Request,
  options?: CallOptions,
): AsyncGenerator<Reply, void, undefined> {
  walk.limit ??= PAGE_SIZE;
  for (;;) {
    const page = await call(walk, options);
    yield page;
    const token = page.data?.pagination?.nextPageToken;
    if (token === undefined) return;
    walk.page = undefined; // goes with no token
    walk.pageToken = token;
  }
}
