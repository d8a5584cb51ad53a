"""Makes the tables of the books: accounts, entries, postings."""

import django.db.models.deletion
import ledger.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
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
                ('xact_id', ledger.fields.Xid8Field(db_default=ledger.fields.PgCurrentXactId(), editable=False, help_text='Transaction that made it; postings must come in it.')),
                ('reverses', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='reversed_by', to='ledger.journalentry')),
            ],
            options={
                'verbose_name_plural': 'journal entries',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='Posting',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('currency', ledger.fields.CurrencyField(max_length=8)),
                ('amount_minor', ledger.fields.MinorUnitsField(help_text='Minor units; debit positive, credit negative.')),
                ('match_key', models.CharField(blank=True, help_text='Open item the line belongs to.', max_length=200)),
                ('booked_on', models.DateField(help_text="The entry's accounting date.")),
                ('posted_at', models.DateTimeField(help_text='When the entry was booked.')),
                ('account', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='postings', to='ledger.account')),
                ('entry', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='postings', to='ledger.journalentry')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.AddIndex(
            model_name='journalentry',
            index=models.Index(fields=['subject', 'id'], name='entries_of_a_subject'),
        ),
        migrations.AddConstraint(
            model_name='journalentry',
            constraint=models.UniqueConstraint(fields=('public_id',), name='an_entry_has_its_own_public_id'),
        ),
        migrations.AddConstraint(
            model_name='journalentry',
            constraint=models.UniqueConstraint(fields=('source_key',), name='a_source_key_is_booked_once'),
        ),
        migrations.AddConstraint(
            model_name='journalentry',
            constraint=models.UniqueConstraint(condition=models.Q(('reverses__isnull', False)), fields=('reverses',), name='an_entry_is_reversed_once_so_post_a_new_entry_instead'),
        ),
        migrations.AddConstraint(
            model_name='journalentry',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('source_key', ''), _negated=True), models.Q(('subject', ''), _negated=True)), name='an_entry_says_what_it_records'),
        ),
        migrations.AddIndex(
            model_name='posting',
            index=models.Index(fields=['account', 'booked_on', 'id'], include=('amount_minor', 'posted_at'), name='postings_of_an_account_by_day'),
        ),
        migrations.AddConstraint(
            model_name='posting',
            constraint=models.CheckConstraint(condition=models.Q(('amount_minor', 0), _negated=True), name='a_posting_of_zero_says_nothing_so_leave_it_out'),
        ),
    ]
