"""Makes the tables of the books: accounts, entries, postings, closed days."""

import django.db.models.deletion
import ledger.fields
from console.tables import CreateTables
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [
        ('ledger', '0001_books'),
        ('ledger', '0003_closed_days'),
    ]

    initial = True

    dependencies = [
    ]

    operations = [
        CreateTables(
            models=[
                migrations.CreateModel(
                    name='Account',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('code', models.CharField(help_text='Code in the chart of accounts.', max_length=8)),
                        ('currency', ledger.fields.CurrencyField(max_length=8)),
                        ('gateway', models.CharField(blank=True, help_text='Gateway account; empty if not kept so.', max_length=200)),
                        ('customer', models.CharField(blank=True, help_text='Customer id; empty if not kept so.', max_length=200)),
                        ('normal_side', models.CharField(choices=[('debit', 'debit'), ('credit', 'credit')], max_length=6)),
                        ('memo', models.BooleanField(help_text='Outside the trial balance.')),
                        ('open_item', models.BooleanField(help_text='Every posting carries a match key.')),
                        ('min_balance', models.BigIntegerField(help_text='Floor in minor units, from the normal side; empty: no floor.', null=True)),
                        ('created_at', models.DateTimeField(help_text='Of the row only; nothing is decided by it.')),
                    ],
                    options={
                        'ordering': ['code', 'currency', 'gateway', 'customer'],
                        'constraints': [models.UniqueConstraint(fields=('code', 'currency', 'gateway', 'customer'), name='an_account_exists_once_per_code_currency_and_dimensions'), models.UniqueConstraint(fields=('id', 'currency'), name='an_account_has_one_currency'), models.CheckConstraint(condition=models.Q(('currency__regex', '^[A-Z0-9]{3,8}$')), name='a_currency_is_an_upper_case_code'), models.CheckConstraint(condition=models.Q(('normal_side__in', ['debit', 'credit'])), name='an_account_grows_by_debit_or_credit')],
                    },
                ),
                migrations.CreateModel(
                    name='ClosedDay',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('day', models.DateField(help_text='The last day that is closed.')),
                        ('first_day', models.DateField(help_text='The first day this close covers; empty: from the beginning.', null=True)),
                        ('closed_at', models.DateTimeField()),
                        ('closed_by', models.CharField(max_length=200)),
                        ('entries_count', models.BigIntegerField(help_text='Entries booked on the days it covers.')),
                        ('entries_digest', models.CharField(help_text='SHA-256 over them, as `ledger.queries.day_digest` does.', max_length=64)),
                        ('reopened_at', models.DateTimeField(blank=True, null=True)),
                        ('reopened_by', models.CharField(blank=True, max_length=200)),
                    ],
                    options={
                        'ordering': ['-day', '-id'],
                        'constraints': [models.UniqueConstraint(condition=models.Q(('reopened_at__isnull', True)), fields=('day',), name='a_day_of_the_books_is_closed_once'), models.CheckConstraint(condition=models.Q(('first_day__isnull', True), ('first_day__lte', models.F('day')), _connector='OR'), name='a_close_covers_days_in_order')],
                    },
                ),
                migrations.CreateModel(
                    name='JournalEntry',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('public_id', models.CharField(help_text='je_…, random, shown to people.', max_length=40)),
                        ('source_key', models.CharField(help_text='The movement or command recorded; never reused.', max_length=200)),
                        ('content_hash', models.CharField(help_text='SHA-256 of the content, as `ledger.drafts` defines it.', max_length=64)),
                        ('subject', models.CharField(help_text='Public id of what the entry is about.', max_length=200)),
                        ('description', models.TextField(blank=True)),
                        ('actor', models.CharField(blank=True, help_text='Person who decided it; empty: by rule.', max_length=200)),
                        ('occurred_at', models.DateTimeField(help_text='When it happened in the world.')),
                        ('posted_at', models.DateTimeField(help_text='When we knew and booked it.')),
                        ('booked_on', models.DateField(help_text='Accounting date: drives every report.')),
                        ('reverses', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='reversed_by', to='ledger.journalentry')),
                        ('xact_id', ledger.fields.Xid8Field(db_default=ledger.fields.PgCurrentXactId(), editable=False, help_text='Transaction that made it; postings must come in it.')),
                    ],
                    options={
                        'verbose_name_plural': 'journal entries',
                        'ordering': ['-id'],
                        'indexes': [models.Index(fields=['subject', 'id'], name='entries_of_a_subject')],
                        'constraints': [models.UniqueConstraint(fields=('public_id',), name='an_entry_has_its_own_public_id'), models.UniqueConstraint(fields=('source_key',), name='a_source_key_is_booked_once'), models.UniqueConstraint(condition=models.Q(('reverses__isnull', False)), fields=('reverses',), name='an_entry_is_reversed_once_so_post_a_new_entry_instead'), models.CheckConstraint(condition=models.Q(models.Q(('source_key', ''), _negated=True), models.Q(('subject', ''), _negated=True)), name='an_entry_says_what_it_records')],
                    },
                ),
                migrations.CreateModel(
                    name='Posting',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('entry', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='postings', to='ledger.journalentry')),
                        ('account', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='postings', to='ledger.account')),
                        ('currency', ledger.fields.CurrencyField(max_length=8)),
                        ('amount_minor', ledger.fields.MinorUnitsField(help_text='Minor units; debit positive, credit negative.')),
                        ('match_key', models.CharField(blank=True, help_text='Open item the line belongs to.', max_length=200)),
                        ('booked_on', models.DateField(help_text="The entry's accounting date.")),
                        ('posted_at', models.DateTimeField(help_text='When the entry was booked.')),
                    ],
                    options={
                        'ordering': ['id'],
                        'indexes': [models.Index(fields=['account', 'booked_on', 'id'], include=('amount_minor', 'posted_at'), name='postings_of_an_account_by_day')],
                        'constraints': [models.CheckConstraint(condition=models.Q(('amount_minor', 0), _negated=True), name='a_posting_of_zero_says_nothing_so_leave_it_out')],
                    },
                ),
            ],
        ),
    ]
