// The playground: GraphiQL on a page of its own, with the demo's operations as its first tabs.
import './workers';
import 'graphiql/style.css';
import './style.css';

import { GraphiQL } from 'graphiql';
import { StrictMode, useEffect, useMemo, useState } from 'react';
import { createRoot } from 'react-dom/client';

import { connect } from './api';
import { exampleTabs, firstVariables } from './examples';
import { storedToken, TokenForm } from './token';

function Playground() {
  const [token, setToken] = useState(storedToken);
  const api = useMemo(() => connect(token), [token]);
  // The socket of a token that is no longer used must not stay open.
  useEffect(() => () => void api.socket.dispose(), [api]);

  return (
    <>
      <header>
        <h1>Millrace playground</h1>
        <TokenForm token={token} onChange={setToken} />
      </header>
      <GraphiQL
        fetcher={api.fetcher}
        defaultTabs={exampleTabs.length > 0 ? exampleTabs : undefined}
        initialVariables={firstVariables}
        defaultEditorToolsVisibility="variables"
        isHeadersEditorEnabled={false}
        shouldPersistHeaders={false}
        showPersistHeadersSettings={false}
      >
        <GraphiQL.Logo>{null}</GraphiQL.Logo>
      </GraphiQL>
    </>
  );
}

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no element #root');
createRoot(root).render(
  <StrictMode>
    <Playground />
  </StrictMode>,
);
