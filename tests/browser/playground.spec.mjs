// The playground in a real browser, against the API that MILLRACE_URL names: it loads without any
// other host, runs a query with the token, and shows what a subscription delivers.
//
// MILLRACE_TOKEN is the administrator's token, where the API wants one; MILLRACE_CHROMIUM the
// browser, /usr/bin/chromium by default.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';

const base = process.env.MILLRACE_URL;
if (!base) throw new Error('MILLRACE_URL is not set: start `millrace up` and give its address');
const token = process.env.MILLRACE_TOKEN ?? '';

let browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.MILLRACE_CHROMIUM ?? '/usr/bin/chromium',
    timeout: 180_000,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
});
after(() => browser?.close());

test('the page loads from the API alone', async () => {
  const { page, foreign, failures } = await open();

  await page.locator('.graphiql-query-editor .view-lines').waitFor();
  await run(page, 'query Loaded { __typename }', '"__typename"');
  await page.locator('[aria-label="Show Documentation Explorer"]').click();
  await page.locator('.graphiql-doc-explorer-content').getByText('Root Types').waitFor();

  // The editor starts them one by one, each when it first needs it, and the one for JSON anew when its settings change: the
  // old one may be listed a while longer.
  const workers = () => new Set(page.workers().map((worker) => worker.url().match(/(\w+)\.worker/)?.[1]));
  while (workers().size < 3) await page.waitForEvent('worker');
  assert.deepEqual([...workers()].sort(), ['editor', 'graphql', 'json'], 'workers of the editor');
  assert.deepEqual(foreign, [], 'requests to other hosts');
  assert.deepEqual(failures, [], 'errors on the page');
  await page.context().close();
});

test('the demo\'s operations are the first tabs', async () => {
  const { page } = await open();
  await page.getByRole('tab', { name: 'CreateModel' }).waitFor();
  await page.getByRole('tab', { name: 'WatchInference' }).waitFor();
  await page.context().close();
});

test('a wrong operation is answered with what is wrong', async () => {
  const { page } = await open();
  await run(page, 'mutation Wrong { nonsense }', 'nonsense');
  await page.context().close();
});

test('a subscription shows what happens after it began', async () => {
  const model = `browser-${Date.now()}`;
  await graphql(
    `mutation Make($model: String!) {
      createModel(
        input: { name: $model, inputShape: [4], layers: [{ dense: { units: 2, activation: SOFTMAX } }] }
      ) {
        model {
          name
        }
      }
    }`,
    { model },
  );
  const { page } = await open();
  await write(page, `subscription Moves { aliasMoved(model: "${model}") { name } }`);
  await page.getByRole('button', { name: /Execute query/ }).click();

  // Nothing tells from outside when a subscription has begun, so the alias moves until it is seen.
  const seen = result(page, '"champion-').first().waitFor();
  let ended = false;
  const moving = (async () => {
    for (let count = 1; !ended; count += 1) {
      await graphql(
        `mutation Move($model: String!, $alias: String!) {
          setAlias(input: { model: $model, alias: $alias, version: 1 }) {
            alias {
              name
            }
          }
        }`,
        { model, alias: `champion-${count}` },
      );
    }
  })();
  await seen.finally(() => {
    ended = true;
  });
  await moving;
  await page.context().close();
});

/** Opens the playground with the token, noting requests to other hosts and errors. */
async function open() {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
  await context.addInitScript((value) => {
    if (value !== '') sessionStorage.setItem('millrace.token', value);
  }, token);
  const page = await context.newPage();
  // Two cores may carry brokers, trainings and this browser at once.
  page.setDefaultTimeout(180_000);
  const foreign = [];
  const failures = [];
  const host = new URL(base).host;
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (/^(https?|wss?):$/.test(url.protocol) && url.host !== host) foreign.push(url.href);
  });
  page.on('pageerror', (error) => failures.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') failures.push(message.text());
  });
  await page.goto(new URL('/playground', base).href);
  // What is typed before the first tab has its own content would be written over.
  await page
    .locator('.graphiql-query-editor .view-line')
    .filter({ hasText: 'mutation CreateModel' })
    .first()
    .waitFor();
  return { page, foreign, failures };
}

/**
 * Replaces what the current tab holds, and waits until GraphiQL has read it: the tab is named after
 * the operation then. Run earlier, it would still ask for the operation of before by its name.
 */
async function write(page, operation) {
  const name = operation.match(/^\s*\w+ (\w+)/)[1];
  await page.locator('.graphiql-query-editor .view-lines').click();
  await page.keyboard.press('Control+A');
  await page.keyboard.insertText(operation);
  await page.getByRole('tab', { name }).waitFor();
}

/** Runs an operation in the current tab until the answer has come. */
async function run(page, operation, answer) {
  await write(page, operation);
  await page.getByRole('button', { name: /Execute query/ }).click();
  await result(page, answer).first().waitFor();
}

/** The lines of the answer that hold a text. */
function result(page, text) {
  return page.locator('.result-window .view-line').filter({ hasText: text });
}

async function graphql(query, variables) {
  const response = await fetch(new URL('/graphql', base), {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined);
  return data;
}
