import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0021_part_payments'),
    ]

    operations = [
        migrations.CreateModel(
            name='PayoutWord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('said_by', models.CharField(help_text='gateway, statement or bank.', max_length=40)),
                ('because', models.CharField(max_length=300)),
                ('before', models.CharField(blank=True, help_text='Empty: the first word.', max_length=20)),
                ('after', models.CharField(max_length=20)),
                ('occurred_at', models.DateTimeField()),
                ('at', models.DateTimeField(help_text='When we knew.')),
                ('entry_source_key', models.CharField(blank=True, max_length=160)),
                ('payout', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='words', to='payments.payout')),
            ],
            options={
                'ordering': ('id',),
            },
        ),
    ]
