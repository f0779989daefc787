// Runs migrations of our own against a local space with contentful-migration.
// Usage: node official_migration.js BASE_URL; prints one JSON object.
'use strict'
const http = require('http')
const https = require('https')
const { createClient } = require('contentful-management')
const { runMigration } = require('contentful-migration')

const { hostname, port, host } = new URL(process.argv[2])
// contentful-migration writes https:// into its addresses; the local space speaks HTTP.
https.request = (options, callback) => http.request({
  ...options, protocol: 'http:', hostname, host: hostname, port, agent: undefined, agents: undefined
}, callback)

const concept = { sys: { type: 'Link', linkType: 'TaxonomyConcept', id: 'fiction' } }
const MIGRATIONS = [
  function create (migration) {
    const author = migration.createContentType('author').name('Author').displayField('name')
    author.createField('name').name('Name').type('Symbol').required(true)
    const book = migration.createContentType('book').name('Book').description('What one reads')
    book.createField('title').name('Title').type('Symbol').required(true).localized(true)
    book.createField('pages').name('Pages').type('Integer').validations([{ range: { min: 1 } }])
    book.createField('writer').name('Writer').type('Symbol')
    book.createField('old').name('Old').type('Text')
    book.createField('state').name('State').type('Symbol').defaultValue({ 'en-US': 'new' })
      .validations([{ in: ['new', 'used'] }])
    book.displayField('title')
    book.changeFieldControl('title', 'builtin', 'slugEditor', { helpText: 'short' })
    book.addSidebarWidget('extension', 'widget', { size: 1 })
    book.setAnnotations(['Contentful:AggregateRoot'])
    book.setTaxonomyValidations([{ ...concept, required: false }])
    migration.createTag('classic', { name: 'Classic' }, 'public')
    migration.createTag('gone').name('Gone')
  },
  function change (migration) {
    const book = migration.editContentType('book')
    book.changeFieldId('pages', 'length')
    book.editField('length').name('Length')
    book.moveField('length').toTheTop()
    book.createField('isbn').name('ISBN').type('Symbol').validations([{ unique: true }])
    book.changeFieldControl('isbn', 'builtin', 'singleLine', { helpText: 'thirteen digits' })
    const layout = book.createEditorLayout()
    layout.createFieldGroup('main').name('Main')
    layout.createFieldGroup('more').name('More')
    migration.editTag('classic').name('Classics')
    migration.deleteTag('gone')
  },
  function transform (migration) {
    migration.transformEntries({
      contentType: 'book',
      from: ['title'],
      to: ['isbn'],
      transformEntryForLocale: (fields, locale) =>
        locale === 'en-US' ? { isbn: `isbn-${fields.title[locale]}` } : undefined,
      shouldPublish: 'preserve'
    })
    migration.deriveLinkedEntries({
      contentType: 'book',
      derivedContentType: 'author',
      from: ['writer'],
      toReferenceField: 'author',
      derivedFields: ['name'],
      identityKey: (fields) => fields.writer['en-US'].toLowerCase(),
      shouldPublish: true,
      deriveEntryForLocale: (fields, locale) =>
        locale === 'en-US' ? { name: fields.writer[locale] } : undefined
    })
    migration.setTagsForEntries({
      contentType: 'book',
      from: ['title'],
      setTagsForEntry: (fields, tags) => tags.concat([
        { sys: { type: 'Link', linkType: 'Tag', id: 'classic' } }
      ])
    })
  },
  function remove (migration) {
    const book = migration.editContentType('book')
    book.deleteField('old')
    book.deleteField('writer')
    book.clearAnnotations()
    book.clearTaxonomyValidations()
  }
]

async function main () {
  const client = createClient({ accessToken: 'x', host, insecure: true }, {
    type: 'plain',
    defaults: { spaceId: 'local', environmentId: 'master', organizationId: 'local-organization' }
  })
  await client.concept.createWithId({ conceptId: 'fiction' }, { prefLabel: { 'en-US': 'Fiction' } })
  const migrate = (migrationFunction) => runMigration({
    spaceId: 'local', environmentId: 'master', accessToken: 'x', host, yes: true, quiet: true,
    migrationFunction
  })
  const [create, ...others] = MIGRATIONS
  await migrate(create)
  await client.contentType.get({ contentTypeId: 'book' })
    .then((type) => client.contentType.update({ contentTypeId: 'book' }, {
      ...type, fields: [...type.fields, { id: 'author', name: 'Author', type: 'Link', linkType: 'Entry' }]
    }))
    .then((type) => client.contentType.publish({ contentTypeId: 'book' }, type))
  for (const [id, writer] of [['one', 'Ann'], ['two', 'Ben'], ['three', 'ann']]) {
    const entry = await client.entry.createWithId({ contentTypeId: 'book', entryId: id }, {
      fields: { title: { 'en-US': id }, pages: { 'en-US': 7 }, writer: { 'en-US': writer }, old: { 'en-US': 'x' } }
    })
    if (id !== 'two') await client.entry.publish({ entryId: id }, entry)
  }
  const before = await client.contentType.get({ contentTypeId: 'book' })
  for (const migration of others) await migrate(migration)
  const many = async (contentType) => (await client.entry.getMany({
    query: { content_type: contentType, order: 'sys.createdAt,sys.id' } })).items
  return {
    before,
    type: await client.contentType.get({ contentTypeId: 'book' }),
    editor: await client.editorInterface.get({ contentTypeId: 'book' }),
    books: await many('book'),
    authors: await many('author'),
    tags: (await client.tag.getMany({})).items.map((tag) => tag.name)
  }
}

const log = console.log
console.log = () => {}
main().then(
  (out) => { log('RESULT ' + JSON.stringify(out)) },
  (error) => { console.error(error); process.exit(1) }
)
