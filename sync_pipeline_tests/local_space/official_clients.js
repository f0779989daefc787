// Drives a local space with contentful-management, contentful-import and contentful-export.
// Usage: node official_clients.js BASE_URL EXPORT_FILE DIRECTORY; prints one JSON object.
'use strict'
const { createClient } = require('contentful-management')
const contentfulImport = require('contentful-import')
const contentfulExport = require('contentful-export')

const [base, exportFile, directory] = process.argv.slice(2)
const host = base.replace('http://', '')

async function management () {
  const client = createClient({ accessToken: 'x', host, insecure: true }, {
    type: 'plain', defaults: { spaceId: 'local', environmentId: 'master' }
  })
  const out = {}
  out.user = (await client.user.getCurrent()).sys.type
  let type = await client.contentType.createWithId({ contentTypeId: 'thing' }, {
    name: 'Thing', displayField: 'name', fields: [
      { id: 'name', name: 'Name', type: 'Symbol', required: true, localized: true },
      { id: 'old', name: 'Old', type: 'Symbol', required: false, localized: false }
    ]
  })
  type = await client.contentType.publish({ contentTypeId: 'thing' }, type)
  type = await client.contentType.omitAndDeleteField({ contentTypeId: 'thing' }, type, 'old')
    .catch(async () => client.contentType.get({ contentTypeId: 'thing' }))
  const editor = await client.editorInterface.get({ contentTypeId: 'thing' })
  out.editor = (await client.editorInterface.update({ contentTypeId: 'thing' }, editor)).sys.version
  const locale = await client.locale.create({}, { name: 'German', code: 'de-DE', fallbackCode: 'en-US' })
  out.locale = (await client.locale.update({ localeId: locale.sys.id }, { ...locale, optional: true })).optional
  const tag = await client.tag.createWithId({ tagId: 't' }, { name: 'Tag', sys: { visibility: 'public' } })
  out.tag = (await client.tag.update({ tagId: 't' }, { ...tag, name: 'Tag two' })).name
  let entry = await client.entry.createWithId({ contentTypeId: 'thing', entryId: 'e1' },
    { fields: { name: { 'en-US': 'one' } } })
  entry = await client.entry.publish({ entryId: 'e1' }, entry)
  entry.fields.name['en-US'] = 'uno'
  entry = await client.entry.update({ entryId: 'e1' }, entry)
  entry = await client.entry.patch({ entryId: 'e1', version: entry.sys.version },
    [{ op: 'add', path: '/fields/name/de-DE', value: 'eins' }])
  out.entry = [entry.sys.version, entry.fields.name]
  const second = await client.entry.create({ contentTypeId: 'thing' }, { fields: { name: { 'en-US': 'two' } } })
  let archived = await client.entry.archive({ entryId: second.sys.id })
  archived = await client.entry.unarchive({ entryId: second.sys.id })
  out.archived = archived.sys.version
  const many = await client.entry.getMany({ query: { order: 'sys.id', limit: 10, content_type: 'thing' } })
  out.many = many.total
  const page = await client.entry.getManyWithCursor({ query: { limit: 1 } })
  const next = await client.entry.getManyWithCursor({ query: { limit: 1, pageNext: page.pages.next } })
  out.cursor = [page.items.length, next.items.length, page.items[0].sys.id !== next.items[0].sys.id]
  const link = { sys: { type: 'Link', linkType: 'Entry', id: second.sys.id, version: archived.sys.version } }
  const bulk = await client.bulkAction.publish({}, { entities: { sys: { type: 'Array' }, items: [link] } })
  out.bulk = (await client.bulkAction.get({ bulkActionId: bulk.sys.id })).sys.status
  const v2 = await client.bulkAction.publishV2({}, { action: 'publish', entities: [{ entity: {
    sys: { ...link.sys, version: archived.sys.version + 1 } } }] })
  out.bulkV2 = (await client.bulkAction.getV2({ bulkActionId: v2.sys.id })).sys.status
  out.references = (await client.entry.references({ entryId: 'e1', include: 2 })).items.length
  out.conflict = await client.entry.update({ entryId: 'e1' }, { ...entry, sys: { ...entry.sys, version: 1 } })
    .catch((error) => error.name)
  out.unknownField = await client.entry.create({ contentTypeId: 'thing' }, { fields: { x: { 'en-US': 1 } } })
    .catch((error) => [error.name, JSON.parse(error.message).details.errors[0].path])
  let asset = await client.asset.createWithId({ assetId: 'a1' }, { fields: {
    title: { 'en-US': 't' }, file: { 'en-US': { contentType: 'text/plain', fileName: 'a.txt',
      upload: 'https://example.com/a.txt' } } } })
  asset = await client.asset.processForAllLocales({}, asset, { processingCheckWait: 10 })
  out.asset = (await client.asset.publish({ assetId: 'a1' }, asset)).sys.publishedVersion
  const environment = await client.environment.createWithId({ environmentId: 'copy' }, { name: 'copy' })
  out.environment = environment.sys.status.sys.id
  await client.entry.unpublish({ entryId: second.sys.id })
  await client.entry.delete({ entryId: second.sys.id })
  out.gone = await client.entry.get({ entryId: second.sys.id }).catch((error) => error.name)
  return out
}

async function main () {
  const out = { management: await management() }
  const shared = {
    spaceId: 'local', managementToken: 'x', host, insecure: true, errorLogFile: `${directory}/errors.json`
  }
  const exported = await contentfulExport({
    ...shared, exportDir: directory, contentFile: 'exported.json', includeDrafts: true,
    includeArchived: true, useVerboseRenderer: true
  })
  out.exported = Object.fromEntries(Object.entries(exported).map(([key, value]) => [key, value.length]))
  const imported = await contentfulImport({
    ...shared, environmentId: 'target', contentFile: exportFile, useVerboseRenderer: true
  })
  out.imported = Object.fromEntries(Object.entries(imported).map(([key, value]) => [key, value.length]))
  return out
}

const log = console.log
console.log = () => {}
console.info = () => {}
main().then(
  (out) => { log('RESULT ' + JSON.stringify(out)) },
  (error) => { console.error(error); process.exit(1) }
)
