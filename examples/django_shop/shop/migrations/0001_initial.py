"""The table of orders."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """As ``manage.py makemigrations`` wrote it."""

    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Order",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("reference", models.CharField(max_length=200, unique=True)),
                ("status", models.CharField(default="OPEN", max_length=20)),
                ("amount", models.BigIntegerField(default=0)),
            ],
        ),
    ]
