// How the page speaks to the API: queries and mutations over HTTP, subscriptions over a WebSocket,
// both with the administrator's token where there is one.
import { createGraphiQLFetcher, type Fetcher } from '@graphiql/toolkit';
import { createClient, type Client } from 'graphql-ws';

const httpUrl = new URL('/graphql', location.href);
const socketUrl = new URL('/graphql/ws', location.href);
socketUrl.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';

export interface Api {
  fetcher: Fetcher;
  socket: Client;
}

export function connect(token: string): Api {
  const authorization: Record<string, string> =
    token === '' ? {} : { Authorization: `Bearer ${token}` };
  const socket = createClient({
    url: socketUrl.href,
    connectionParams: authorization,
    lazy: true,
    // A token that was refused stays refused.
    shouldRetry: (event) => event instanceof CloseEvent && event.code !== 4403,
  });
  const fetcher = createGraphiQLFetcher({
    url: httpUrl.href,
    headers: authorization,
    wsClient: socket,
  });
  return { fetcher, socket };
}
