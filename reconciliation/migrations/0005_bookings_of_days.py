from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('reconciliation', '0004_opening_positions'),
    ]

    operations = [
        migrations.AddField(
            model_name='booking',
            name='against_currency',
            field=models.CharField(blank=True, help_text='Exchange: what the payers paid in.', max_length=10),
        ),
        migrations.AddField(
            model_name='booking',
            name='against_minor',
            field=models.BigIntegerField(default=0, help_text='Exchange: what left the receivable in that currency.'),
        ),
        migrations.AddField(
            model_name='booking',
            name='day',
            field=models.DateField(help_text='Of the lines, where it sums up many.', null=True),
        ),
        migrations.AddField(
            model_name='booking',
            name='tax_minor',
            field=models.BigIntegerField(default=0, help_text='Fees: the tax within; positive takes away.'),
        ),
        migrations.AlterField(
            model_name='booking',
            name='lines_count',
            field=models.IntegerField(default=1, help_text='Less than zero where a match was undone.'),
        ),
        migrations.AddIndex(
            model_name='booking',
            index=models.Index(condition=models.Q(('day__isnull', False)), fields=['account', 'day', 'kind'], name='bookings_of_a_day'),
        ),
    ]
